"""The door: `python -m trailblazer` and the `trailblazer` command."""

from __future__ import annotations

import sys

from trailblazer.cli import main

if __name__ == "__main__":
    sys.exit(main())
