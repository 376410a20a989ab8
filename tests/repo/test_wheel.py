"""A wheel holds everything that the package reads beside its modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repo.tree import BINARIES, CHECKOUT, project_files, shown

PLACES = {"schemas/": "trailblazer/_schemas/", "prompts/": "trailblazer/_prompts/", "helpers/": ""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built from this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    build: list[str] = [str(BINARIES / "hatchling"), "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    (built,) = target.glob("*.whl")
    return built


def test_the_wheel_holds_what_the_package_reads(wheel: Path) -> None:
    """Every file of the package, every schema and every prompt of the checkout is in the wheel."""
    kept = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        place + shown(file).removeprefix(folder)
        for file in project_files()
        for folder, place in PLACES.items()
        if shown(file).startswith(folder)
    }
    assert set() == wanted - kept


def test_scenarios_and_prompts_of_a_wheel(wheel: Path, tmp_path: Path) -> None:
    """Without a checkout the shipped scenarios are read, and their prompts are made."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from trailblazer.lanes.signals import prompt, scenario\n"
        "read = [scenario.read_scenario(name) for name in scenario.shipped_scenarios()]\n"
        "assert scenario.__file__.startswith(sys.argv[1]), scenario.__file__\n"
        "print(*(each.headline() for each in read), prompt.triage_prompt(read[0].cases[0])[:24], sep='; ')"
    )
    command: list[str] = [sys.executable, "-I", "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    scenarios = "ptp-mock: 12 cases, 5 clusters expected; ptp-mock-30: 30 cases, 9 clusters expected"
    assert f"{scenarios}; # Triage one failed test\n" == done.stdout


Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def typed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """Types a command where the wheel is installed: in an environment of its own, with the packages of the lock."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "venv", symlinks=True, with_pip=True)
    python = folder / "venv" / "bin" / "python"
    packages = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    (packages / "lock.pth").write_text(sysconfig.get_path("purelib") + "\n")
    words: list[str | Path] = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAILBLAZER_")}

    def answer(*words: str, into: Path = folder) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [folder / "venv" / "bin" / "trailblazer", *words]
        return subprocess.run(
            command, cwd=into, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return answer


def test_a_wheel_works_outside_the_checkout(typed: Typed, tmp_path: Path) -> None:
    """Installed elsewhere, `init` makes a project in which a batch and a night work; the checkout is not needed."""
    made = typed("init", str(tmp_path / "project"))
    assert (0, True) == (made.returncode, "Next:" in made.stderr), made.stderr
    project = tmp_path / "project"
    (project / "items").write_text("one\ntwo\n")
    done = typed("batch", "run", "items=items", "results=json", "--", "echo", "{}", into=project)
    assert 0 == done.returncode, done.stderr
    assert [0, 1] == sorted(json.loads(line)["index"] for line in done.stdout.splitlines())
    (project / "issues.json").write_text('[{"id": "t-1", "title": "It is broken", "status": "open"}]')
    configuration = project / "config" / ".trailblazer.yaml"
    agent = "agents: {parrot: {command: [cat], output: text}}"
    configuration.write_text(configuration.read_text().replace("agents: {}", agent))
    night = typed("nightly", "dry-run", "tracker=issues.json", "provider=parrot", into=project)
    assert 0 == night.returncode, night.stderr
    assert "t-1" in night.stdout + night.stderr
    assert typed("config", "show", into=project).stdout.startswith("paths.var")


def test_a_wheel_has_the_files_of_the_shells(typed: Typed, wheel: Path, tmp_path: Path) -> None:
    """The completions and the manual page are in the share/ of the wheel, and they are those that `install` writes."""
    kept = [name for name in zipfile.ZipFile(wheel).namelist() if ".data/data/share/" in name]
    places = {name.split(".data/data/share/")[1] for name in kept}
    assert {
        "bash-completion/completions/trailblazer",
        "zsh/site-functions/_trailblazer",
        "man/man1/trailblazer.1",
    } == places
    script = zipfile.ZipFile(wheel).read(next(name for name in kept if "bash-completion" in name)).decode()
    assert script == typed("completions", "script", into=tmp_path).stdout


@pytest.mark.proof
def test_a_wheel_calibrates(typed: Typed, tmp_path: Path) -> None:
    """Installed elsewhere, a calibration finds its scenario, its prompts and its database."""
    assert 0 == typed("init", ".", into=tmp_path).returncode
    try:
        done = typed("calibrate", "scenario=ptp-mock", "adapter=stub", into=tmp_path)
        assert (0, True) == (done.returncode, "12 cases, 5 clusters" in done.stdout), done.stderr
    finally:
        typed("db", "stop", into=tmp_path)


@pytest.mark.proof
@pytest.mark.parametrize(
    ("words", "folders"),
    [
        (("pipx", "install"), {"PIPX_HOME": "home", "PIPX_BIN_DIR": "bin", "PIPX_MAN_DIR": "man"}),
        (("uv", "tool", "install"), {"UV_TOOL_DIR": "home", "UV_TOOL_BIN_DIR": "bin"}),
    ],
    ids=["pipx", "uv"],
)
def test_the_wheel_is_installed_as_a_program(
    wheel: Path, tmp_path: Path, words: tuple[str, ...], folders: dict[str, str]
) -> None:
    """pipx and uv, as their packages come, install it with all that it needs; a batch runs in a new project."""
    venv.create(tmp_path / "tools", symlinks=True, with_pip=True)
    tools, (program, *rest) = tmp_path / "tools" / "bin", words
    subprocess.run([tools / "pip", "install", "-q", program], check=True, capture_output=True, timeout=300)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAILBLAZER_")}
    environment |= {name: str(tmp_path / folder) for name, folder in folders.items()}
    environment |= {"UV_NATIVE_TLS": "1", "PIP_NO_COMPILE": "1"}  # the certificates of the machine, as pip takes them
    installing: list[str | Path] = [tools / program, *rest, wheel]
    subprocess.run(installing, env=environment, cwd=tmp_path, check=True, capture_output=True, timeout=600)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "items").write_text("one\ntwo\n")
    for typed in ("init .", "batch run items=items -- echo {}", "verify"):
        command: list[str | Path] = [tmp_path / "bin" / "trailblazer", *typed.split()]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path / "project", capture_output=True, text=True, timeout=120, check=False
        )
        assert 0 == done.returncode, (typed, done.stderr)
