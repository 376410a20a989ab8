"""A project of its own for each test, without a database: a report needs none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.embed.project import Project
from reports.recorded import rich_dispatch
from trailblazer.paths import CONFIG_NAME, Places
from trailblazer.reports.course.model import Report
from trailblazer.reports.course.reading import read_report


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in which verbs are run."""
    folder = tmp_path / "pro ject é"
    (folder / CONFIG_NAME).parent.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text("dispatch: {workers: 2}\n")
    return Project(folder, "null")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An empty project, for records that a test writes itself."""
    return Places(tmp_path, tmp_path / "var")


@pytest.fixture
def rich(places: Places) -> Report:
    """The report of a dispatch in which everything happened that can."""
    return read_report(rich_dispatch(places))
