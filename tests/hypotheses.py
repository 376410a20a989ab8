"""How hypothesis runs here: no example has a time limit, and each worker of xdist remembers its examples by itself."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase


def pytest_configure(config: pytest.Config) -> None:
    """Set the profile before any test module is read; in CI examples are the same each time and none is remembered."""
    if settings().derandomize:
        settings.register_profile("house", deadline=None)
    else:
        folder = config.rootpath / ".hypothesis" / os.environ.get("PYTEST_XDIST_WORKER", "alone")
        settings.register_profile("house", deadline=None, database=DirectoryBasedExampleDatabase(folder))
    settings.load_profile("house")
