"""Puts the completions and the manual page into the wheel: they are made of the parsers while it is built."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShareHook(BuildHookInterface[Any]):
    """Adds share/ to a wheel; an editable install has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the files, and name them in what is built."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "helpers"))
        from trailblazer.words.shells import install, pieces

        day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
        folder = Path(mkdtemp())
        for path in install(pieces(self.metadata.version, day), folder):
            build_data["shared_data"][str(path)] = f"share/{path.relative_to(folder)}"
