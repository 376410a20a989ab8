"""What docs/parallel-architecture.md tells is true: its agents are run, its fields are those of the schemas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repo.tree import CHECKOUT
from signals.acting import LIMIT, contexts
from trailblazer import schemas
from trailblazer.paths import CONFIG_NAME
from trailblazer.signals import BatchFileDispatcher, FileDispatcher

pytestmark = pytest.mark.proof

PAGE = (CHECKOUT / "docs" / "parallel-architecture.md").read_text()


def example(language: str) -> str:
    """Return the example in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_agent_in_python(tmp_path: Path) -> None:
    """The small agent answers a batch, also when three of it run at once."""
    single = FileDispatcher(tmp_path / "suite", timeout=LIMIT)
    batch = BatchFileDispatcher(single).post(contexts(6))
    command = [sys.executable, "-I", "-S", "-c", example("python"), str(single.suite.folder)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [0, 0, 0] == [process.wait(LIMIT) for process in running]
    results = list(batch.results())
    assert ["done"] * 6 == [result.status for result in results]
    assert all(result.data["words"] > 8 for result in results)
    single.close()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_agent_in_shell(tmp_path: Path, shell: str) -> None:
    """The small agent takes each signal by the verb, and says that it has no answer."""
    (tmp_path / CONFIG_NAME).parent.mkdir(parents=True)
    (tmp_path / CONFIG_NAME).write_text("{}\n")
    single = FileDispatcher(tmp_path / "suite", timeout=LIMIT)
    post = single.post(contexts(2))
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [shell, "-c", example("bash"), "agent", str(single.suite.folder)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "TRAILBLAZER_DB_URL": "null"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    assert "What is wrong with case 1?" in done.stderr
    assert ["this agent reads, and knows nothing"] * 2 == [result.error for result in post.results()]
    single.close()


@pytest.mark.parametrize("name", ["signal", "batch_manifest", "signal_artifact"])
def test_every_field_is_told(name: str) -> None:
    """The page names every field of the documents that agents read and write."""
    assert [] == [
        field for field in schemas.load(name)["properties"] if f"`{field}`" not in PAGE and f'"{field}"' not in PAGE
    ]
