"""Holds outputs against a user's schema in a process of its own, which can be ended: a pattern may take for ever.

Documents come on stdin, a line each; for each a line goes to stdout: the first violation as a JSON text, or "".
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from trailblazer.processes.marks import die_with
from trailblazer.schemas import user_schema


def main(schema: str) -> int:
    """Answer until stdin ends."""
    die_with(os.getppid())
    first_violation = user_schema(Path(schema))
    for line in sys.stdin.buffer:
        try:
            said = first_violation(json.loads(line))
        except RecursionError:
            said = "it cannot be checked: the schema refers to itself without end"
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
