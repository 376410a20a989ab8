"""Runs that tests make: documents in a folder, chunked or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trailblazer.config import Config, load_config
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.pipeline.documents import NORMALIZED


def configured(folder: Path, **keys: Any) -> Config:
    """Return the configuration of a folder with these keys, as section__key."""
    return load_config({key.replace("__", "."): value for key, value in keys.items()}, folder)


def write_run(folder: Path, rid: str, *records: dict[str, Any], to: Path = NORMALIZED) -> Path:
    """Write documents as a run and return its folder."""
    run = folder / "var/runs" / rid
    (run / to).parent.mkdir(parents=True, exist_ok=True)
    (run / to).write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


def chunked_run(folder: Path, rid: str, *texts: str) -> Path:
    """Write a run of these texts, chunk it and return its folder."""
    run = write_run(folder, rid, *({"id": f"d{number}", "text_md": text} for number, text in enumerate(texts)))
    config = configured(folder)
    chunk_run(config.places, config, rid)
    return run
