"""A database server that belongs to one test: it may be frozen, killed and restarted."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from chaos.watching import kill
from trailblazer.database import server
from trailblazer.database.account import choose_account


class OwnServer:
    """A server in a folder of its own."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.dsn = server.start(base)

    def make_database(self, name: str) -> str:
        """Make an empty database and return its DSN."""
        with psycopg.connect(self.dsn.replace("dbname=trailblazer", "dbname=postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.dsn.replace("dbname=trailblazer", f"dbname={name}")

    @property
    def postmaster(self) -> int:
        """The pid of the postmaster, 0 when there is none."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.base / "data" / "postmaster.pid").read_text().splitlines()[0])
        return 0

    def processes(self) -> list[int]:
        """Return the postmaster and all its children."""
        head = self.postmaster
        children = Path(f"/proc/{head}/task/{head}/children")
        return [head, *map(int, children.read_text().split())] if children.is_file() else []

    def freeze(self) -> None:
        """Stop every process of the server: it answers nobody, and refuses nobody."""
        for pid in self.processes():
            kill(pid, signal.SIGSTOP)
        for pid in self.processes():  # those that came meanwhile
            kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        for pid in reversed(self.processes()):
            kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the postmaster as the system does when memory is short."""
        if pid := self.postmaster:
            kill(pid)

    def stop(self, mode: str) -> None:
        """Stop the server: `fast` ends sessions in order, `immediate` is as a crash."""
        account = choose_account(self.base, server.find_binaries())
        words = account.command("pg_ctl", "stop", "-D", str(self.base / "data"), "-m", mode, "-w")
        subprocess.run(words, check=False, capture_output=True, **account.options)

    def start(self) -> None:
        """Start it again."""
        server.start(self.base)


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """Run a server while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="trailblazer chaos é "))
    running = OwnServer(folder / "var" / "postgres")
    try:
        yield running
    finally:
        running.thaw()
        server.stop(running.base)
        shutil.rmtree(folder, ignore_errors=True)
