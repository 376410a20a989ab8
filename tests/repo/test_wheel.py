"""A wheel holds everything that the package reads beside its modules."""

from __future__ import annotations

import subprocess
import sys
import zipfile
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
