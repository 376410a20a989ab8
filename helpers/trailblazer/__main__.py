"""The door: `python -m trailblazer` and the `trailblazer` command."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the working folder, which `python -m` puts first (rule 6)

from trailblazer.cli import main

if __name__ == "__main__":
    sys.exit(main())
