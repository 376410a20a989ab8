"""Calls of bd, each with a time limit, and what its answers hold."""

from __future__ import annotations

from pathlib import Path


class BdCalls:
    """bd in a folder."""

    def __init__(self, command: tuple[str, ...], folder: Path, seconds: float) -> None:
        self._command, self._folder, self._seconds = command, folder, seconds
