"""Claims issues at the same moment as other processes: `claimer.py PROJECT DISPATCH ID…`, driven over its stdin.

At a line `claim` it claims every issue and prints the ids that it holds, as JSON. At a line `release` it releases them
and prints the reasons for which that failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from trailblazer.config import load_config
from trailblazer.lanes.issues.holder import own_holder
from trailblazer.lanes.issues.opening import open_tracker


def main(project: str, dispatch: str, *issue_ids: str) -> None:
    """Claim and release until stdin ends."""
    tracker = open_tracker(load_config(start=Path(project)))
    holder = own_holder(dispatch)
    held: list[str] = []
    for line in sys.stdin:
        if line == "claim\n":
            said = held = [issue_id for issue_id in issue_ids if tracker.claim(issue_id, holder).is_held]
        else:
            answers = [tracker.release(issue_id, holder) for issue_id in held]
            said = [answer.reason for answer in answers if not answer.is_released]
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
