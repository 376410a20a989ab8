"""No Python that we start executes what lies in the working folder (rule 6)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trailblazer.paths import CONFIG_NAME
from trailblazer.places.workers import Workers, python_module

NAMES = ("json", "numpy", "yaml", "orjson", "jinja2", "jsonschema", "psycopg", "argparse", "tempfile", "csv")
CONSOLE = [str(Path(sys.executable).with_name("trailblazer"))]
STARTS = {
    "the command": (CONSOLE, True),
    "python -P -m": ([sys.executable, "-P", "-m", "trailblazer"], True),
    # A trailblazer.py there is found before us: only -P, or the command itself, helps.
    "python -m": ([sys.executable, "-m", "trailblazer"], False),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project whose folder holds modules that note that they were executed."""
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).touch()
    for name in (*NAMES, "trailblazer"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write('{name} ')\n")
    (tmp_path / "schema.json").write_text('{"type": "integer"}')
    return tmp_path


@pytest.mark.parametrize(("start", "also_ours"), STARTS.values(), ids=STARTS.keys())
def test_a_working_folder_is_not_executed(folder: Path, start: list[str], also_ours: bool) -> None:
    """Neither the program nor the processes that it starts import a module from the folder they are called in."""
    if not also_ours:
        (folder / "trailblazer.py").unlink()
    for words in (
        ["batch", "run", "--expect-schema", "schema.json", "--results", "csv", "--", "echo", "{{ item + 0 }}"],
        ["verify"],
        ["config", "show"],
        ["embed", "plan-preflight"],
    ):
        done = subprocess.run(
            [*start, *words], cwd=folder, input=b"[1, 2]", capture_output=True, check=False, timeout=60
        )
        assert b"Traceback" not in done.stderr, (words, done.stderr)
        assert not (folder / "executed").exists(), (words, (folder / "executed").read_text())
    assert 1 == len(list(folder.glob("var/logs/dispatch/2*/checker_1.stderr")))


WORKERS = [("trailblazer.pipeline.worker", str(os.getpid())), ("trailblazer.providers.checker", "schema.json")]


@pytest.mark.parametrize(("module", "word"), WORKERS, ids=["embeds", "checks"])
def test_a_worker_does_not_execute_it_either(folder: Path, module: str, word: str) -> None:
    """A worker process that is started in the folder imports nothing from it."""
    words = [*python_module(module), word]
    done = subprocess.run(words, cwd=folder, input=b"", capture_output=True, check=False, timeout=60)
    assert (0, b"") == (done.returncode, done.stderr)
    assert not (folder / "executed").exists()


def test_an_empty_entry_of_the_python_path_is_not_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPATH=: means the working folder: workers get the whole paths of it alone."""
    monkeypatch.chdir(folder)
    show = "import sys; sys.stdin.readline(); print(sys.path, flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONPATH": f":{folder.parent}:.:helpers"}
    workers = Workers([sys.executable, "-P", "-c", show], folder, environment, 30.0)
    try:
        exchange = workers.exchange(b"\n")
        shown = next(exchange.answers()).decode()
        exchange.over()
    finally:
        workers.close()
    assert f"'{folder.parent}'" in shown
    assert f"'{folder}'" not in shown
    assert "''" not in shown
