"""The stress of signals (S9): nothing is lost, doubled, wrong, torn, late in place, and no number goes back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from repo.tree import CHECKOUT

pytestmark = pytest.mark.proof

LIMIT = 600.0
ROUNDS = 10  # the figures of fifty: python -m chaos.signal_rounds rounds=50


def test_two_hundred_signals_and_sixteen_writers_and_readers(tmp_path: Path) -> None:
    """Agents and the dispatcher are killed, answers are shuffled, wrong, torn, doubled and late: all counts are 0."""
    done = subprocess.run(
        [sys.executable, "-m", "chaos.signal_rounds", f"rounds={ROUNDS}", f"folder={tmp_path}"],
        cwd=CHECKOUT / "tests",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    print(done.stdout)
    assert 0 == done.returncode, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert [ROUNDS, 200 * ROUNDS] == [figures["lanes"]["signals"], figures["items"]]
    assert figures["kills"]
