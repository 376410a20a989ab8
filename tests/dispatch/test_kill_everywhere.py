"""A dispatch that is killed at any change of a file can be read, resumed and proved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.proof

ITEMS = 3
FEWEST_PLACES = 80


def test_a_dispatch_finishes_wherever_it_is_killed(tmp_path: Path) -> None:
    """After kill -9 at any write, fsync or rename a resume finishes the plan and proves it (rules 1, 3, 10).

    After each kill the record can be read. No item with a good result runs again, no attempt number is used twice,
    and the sealed folder verifies.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), str(tmp_path), str(ITEMS)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert 0 == done.returncode, done.stderr
    good = {"final_code": 0, "findings": [], "unread": [], "ran_again": [], "attempts_twice": [], "without_result": []}
    places = range(1, len(results) + 1)
    assert [{"at": at, "was_killed": at < len(results)} | good for at in places] == results
    assert len(results) > FEWEST_PLACES
