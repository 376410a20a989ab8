"""The index of the vectors while a dispatch writes many of them."""

from __future__ import annotations

import contextlib

from trailblazer.config import Config
from trailblazer.database.connection import answering, connect
from trailblazer.database.embedded import ModelKey
from trailblazer.errors import ServiceDown
from trailblazer.pipeline.indexes import LOAD_LEAST, drop_index_for_load


class LoadedIndex:
    """Drops the index when a dispatch has written much: it is made again when the dispatch closes."""

    def __init__(self, config: Config, key: ModelKey) -> None:
        self._config, self._key = config, key
        self._written, self._load = 0, LOAD_LEAST

    def note_written(self, embedded: int) -> None:
        """Count vectors that were written."""
        self._written += embedded
        if self._written < self._load:
            return
        self._load = 2 * self._written
        key = self._key
        with contextlib.suppress(ServiceDown), answering(), connect(self._config) as connection:
            drop_index_for_load(connection, key.provider, key.model, key.dimension, self._written)
