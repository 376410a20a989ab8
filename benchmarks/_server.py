"""A Postgres server for measuring, and processes that work on it side by side."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trailblazer.config import Config, load_config
from trailblazer.database import server, vitals
from trailblazer.database.connection import open_connection
from trailblazer.paths import Places

PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Bench:
    """The temporary folder and the server in it."""

    folder: Path

    @property
    def base(self) -> Path:
        """Where the server stands."""
        return vitals.base_of(Places(self.folder, self.folder / "var"))

    def config(self, database: str) -> Config:
        """Return the configuration that leads to one of its databases."""
        url = server.start(self.base).replace("dbname=trailblazer", f"dbname={database}")
        return load_config({"db.url": url, "paths.var": str(self.folder / "var")}, start=self.folder)

    def make_database(self, database: str) -> None:
        """Make an empty one."""
        with open_connection(self.config("postgres")) as connection:
            connection.execute(f"CREATE DATABASE {database}")

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment of a program that reads libpq's variables."""
        socket = re.findall(r"host='([^']+)'", server.start(self.base))[0]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "TRAILBLAZER_"))}
        known = {"PGHOST": socket, "PGPORT": str(vitals.PORT), "PGUSER": vitals.NAME, "PGDATABASE": database}
        return kept | known

    def crowd(self, command: Sequence[str], database: str) -> float:
        """Return jobs a second of processes that begin together, from the first job to the last.

        Each is told its number, from 0 on, when all are ready.
        """
        pipe, environment = subprocess.PIPE, self.environment(database)
        children = [
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=self.folder)
            for _ in range(PROCESSES)
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for number, child in enumerate(children):
            assert child.stdin is not None
            child.stdin.write(f"{number}\n")
            child.stdin.flush()
        told = [json.loads(child.communicate(timeout=120)[0]) for child in children]
        told = [one for one in told if one["done"]]
        seconds = max(one["last"] for one in told) - min(one["first"] for one in told)
        return float(sum(one["done"] for one in told) / seconds)
