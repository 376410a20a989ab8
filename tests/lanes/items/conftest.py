"""A new project for each test, for batches of a hostile worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.items.batches import Batches
from trailblazer.paths import CONFIG_NAME


@pytest.fixture
def batches(tmp_path: Path) -> Batches:
    """A project without a database: a batch needs none."""
    folder = tmp_path / "pro ject é"
    (folder / CONFIG_NAME).parent.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text("dispatch: {workers: 2}\n")
    return Batches(folder, "null")
