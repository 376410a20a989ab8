"""What a night shows on a terminal of 80 columns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

from lanes.embed.project import TRAILBLAZER
from lanes.issues.nights import Nights, issue

OURS = re.compile(r"\x1b\[[\d;?]*[A-Za-z]|\r")


def test_the_live_view_fits_and_no_outcome_is_torn(nights: Nights) -> None:
    """The live view is cut to the width, and each outcome begins at the left."""
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
    pieces = re.split(r"\r\n|\r\x1b\[2K|\x1b\[\?25h", shown.decode())
    live = [OURS.sub("", piece) for piece in pieces]
    assert any(re.match(r"done \d · failed \d", line) for line in live), live
    assert max(len(line) for line in live if re.match("done|running|stub", line)) <= 80
    assert sum(line.startswith("DISPATCH_SUCCESS") for line in live) == 2, pieces
    assert sum("DISPATCH_SUCCESS" in line for line in live) == 2
