"""A project of its own for each test, and a monitor that listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cron.jobs import JobProject, Monitor, listening


@pytest.fixture
def project(tmp_path: Path) -> Iterator[JobProject]:
    """A project with the shipped configuration, in a folder whose name a shell and cron must not read."""
    made = JobProject(tmp_path / "a 100% pro ject é $HOME's")
    made.configure()
    yield made
    made.end()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """A monitor that listens."""
    with listening() as made:
        yield made
