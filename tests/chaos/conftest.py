"""Projects for the chaos: those of the embedding lane on the shared server, and batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.conftest import base as base
from lanes.conftest import new_database as new_database
from lanes.embed.conftest import make_project as make_project
from lanes.embed.conftest import project as project
from lanes.embed.conftest import service as service
from lanes.embed.conftest import stock as stock
from lanes.items.conftest import batches as batches


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the longest tests begin before every other one, which run beside them in other processes."""
    first = {"test_chaos.py", "test_signals.py"}
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent or item.path.name not in first)
