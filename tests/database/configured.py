"""The configuration of a folder, for tests that make their own."""

from __future__ import annotations

from pathlib import Path

from trailblazer.config import Config, load_config


def config_of(folder: Path, url: str | None = None) -> Config:
    """Return the configuration of a folder whose var/ stands in it, with the embedded server or one by address."""
    return load_config({"db.url": url, "paths.var": str(folder / "var")}, start=folder)
