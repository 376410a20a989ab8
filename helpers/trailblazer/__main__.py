"""The door: `python -m trailblazer` and the `trailblazer` command."""

from __future__ import annotations

import gc
import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the working folder, which `python -m` puts first (rule 6)

from trailblazer import cli

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Carry out the words of the command line, and end the process with their exit code.

    What was opened is closed by now: Python's own end would only take every module apart, a tenth of a short command.
    """
    gc.set_threshold(50_000)  # nearly all that a start makes stays: looking through it every 700 objects finds nothing
    code = cli.main()
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105 - contextlib would be loaded for this alone
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


if __name__ == "__main__":
    main()
