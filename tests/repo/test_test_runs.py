"""A run of tests: its last line, its processes, and what a skipped test is in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repo.tree import CHECKOUT

pytestmark = pytest.mark.proof

THREE = "import pytest\ndef test_good(): pass\ndef test_bad(): assert False\ndef test_idle(): pytest.skip('no zsh')\n"
BATS = 'setup_file() { echo run >>"$BATS_TEST_DIRNAME/runs"; }\n' + "".join(
    f'@test "number {number}" {{\n  true\n}}\n' for number in range(6)
)


def pytest_in(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a folder, with what makes our runs what they are."""
    plugins = [word for name in ("bats_tests", "hypotheses", "last_line") for word in ("-p", name)]
    known = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", *plugins, "-c", os.devnull, "--rootdir", folder, *words, folder],
        env=known | {"PYTHONPATH": str(CHECKOUT / "tests")} | settings,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("words", [(), ("-n", "2")], ids=["alone", "in two processes"])
def test_the_last_line_sums_up(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The last line is `N passed, N failed` and is there once, in however many processes the tests run."""
    (tmp_path / "test_three.py").write_text(THREE)
    done = pytest_in(tmp_path, *words)
    assert 1 == done.returncode
    assert "1 passed, 1 failed" == done.stdout.splitlines()[-1]
    assert 1 == done.stdout.splitlines().count("1 passed, 1 failed")


def test_an_error_outside_a_test_is_a_failure(tmp_path: Path) -> None:
    """A test file that cannot be read counts as one failure."""
    (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n")
    done = pytest_in(tmp_path)
    assert 0 != done.returncode
    assert "0 passed, 1 failed" == done.stdout.splitlines()[-1]


def test_in_ci_a_skipped_test_is_a_failed_one(tmp_path: Path) -> None:
    """With CI=true a line names the test that was skipped and why, and the run fails."""
    (tmp_path / "test_three.py").write_text(THREE.replace("assert False", "pass"))
    assert 0 == pytest_in(tmp_path).returncode
    done = pytest_in(tmp_path, "-n", "2", CI="true")
    assert 1 == done.returncode
    assert "2 passed, 1 failed" == done.stdout.splitlines()[-1]
    assert "FAILED test_three.py::test_idle - Skipped: no zsh" in done.stdout


def test_in_ci_a_skipped_file_is_a_failed_one(tmp_path: Path) -> None:
    """With CI=true a whole file cannot be skipped either."""
    (tmp_path / "test_file.py").write_text("import pytest\npytest.skip('no tmux', allow_module_level=True)\n")
    done = pytest_in(tmp_path, CI="true")
    assert 0 != done.returncode
    assert "0 passed, 1 failed" == done.stdout.splitlines()[-1]
    assert "no tmux" in done.stdout


def test_a_bats_file_runs_once_in_one_process(tmp_path: Path) -> None:
    """The tests of a .bats file run together, once, however many processes there are."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.bats").write_text(BATS)
    done = pytest_in(tmp_path, "-n", "2")
    assert "12 passed, 0 failed" == done.stdout.splitlines()[-1]
    assert ["run\n", "run\n"] == [(tmp_path / name / "runs").read_text() for name in ("one", "two")]
