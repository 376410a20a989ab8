"""Projects for the chaos: those of the embedding lane on the shared server, and batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.embed.conftest import base as base
from lanes.embed.conftest import make_project as make_project
from lanes.embed.conftest import project as project
from lanes.embed.conftest import service as service
from lanes.embed.conftest import stock as stock
from lanes.items.conftest import batches as batches


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the chaos run late: behind every other test."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.is_relative_to(here))
