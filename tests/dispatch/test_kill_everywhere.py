"""Killed before, in the middle of and after each change of a file, a dispatch can be read, resumed and proved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ITEMS = 3
FEWEST_PLACES = 80


def test_killed_at_every_write_fsync_and_rename_a_dispatch_comes_to_its_end(tmp_path: Path) -> None:
    """Rules 1, 3, 10: wherever kill -9 falls, in the dispatch and again in its resume, the plan is finished and proved.

    What is left can be read, no item with a good result runs again, no attempt's number is given twice, and the
    sealed folder verifies.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), str(tmp_path), str(ITEMS)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert 0 == done.returncode, done.stderr
    good = {"final_code": 0, "findings": [], "unread": [], "ran_again": [], "attempts_twice": [], "without_result": []}
    places = range(1, len(told) + 1)
    assert [{"at": at, "was_killed": at < len(told)} | good for at in places] == told
    assert len(told) > FEWEST_PLACES
