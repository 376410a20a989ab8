"""A project with a database of its own, and agents that answer what they find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lanes.signals.calibrations import Calibrations
from trailblazer.paths import CONFIG_NAME


@pytest.fixture
def calibrations(tmp_path: Path, new_database: Callable[[], str]) -> Calibrations:
    """A project with a database of its own."""
    folder = tmp_path / "pro ject é"
    (folder / CONFIG_NAME).parent.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text("dispatch: {workers: 4}\n")
    return Calibrations(folder, new_database())
