"""What a night shows on a terminal of 80 columns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios

from lanes.embed.project import TRAILBLAZER
from lanes.issues.nights import Nights, issue


def test_the_live_line_fits_and_no_outcome_is_torn(nights: Nights) -> None:
    """The live line is cut to the width, and each outcome begins at the left."""
    nights.configure("stub", issues=[issue(1), issue(2)])
    nights.script(rest={"seconds": 0.5})
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    settings = {**nights.settings(), "TERM": "xterm"}
    settings.pop("NO_COLOR", None)
    shown = b""
    with subprocess.Popen(
        [*TRAILBLAZER, "nightly"], cwd=nights.folder, stdin=theirs, stdout=theirs, stderr=theirs, env=settings
    ):
        os.close(theirs)
        with contextlib.suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 65536):
                shown += piece
    os.close(ours)
    pieces = [piece for line in shown.decode().split("\r\n") for piece in line.split("\r\x1b[K")]
    live = [piece for piece in shown.decode().split("\r\x1b[K") if "\r\n" not in piece]
    assert any(line.startswith("[Progress]") for line in live)
    assert max(map(len, live)) < 80
    assert sum(piece.startswith("DISPATCH_SUCCESS") for piece in pieces) == 2
    assert sum("DISPATCH_SUCCESS" in piece for piece in pieces) == 2
