"""What a command asks of the system and of the database, counted: a busy machine counts the same as an idle one."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from lanes.embed.project import Project, wait_for

LIMIT = 240.0
# The program, whose bookkeeper waits for the end: what it writes every other second would count the seconds.
PROGRAM = """
from trailblazer.__main__ import main
from trailblazer.reports import summary
summary.COMMIT_SECONDS = summary.SHORTEST_PAUSE = 3600.0
main()
"""
# The calls of each kind. How often a thread waits, and what memory it asks for, depends on time: these are left out.
KINDS = {
    "processes and threads": ("clone", "clone3", "fork", "vfork"),
    "files opened": ("open", "openat", "openat2", "creat"),
    "names made or removed": ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
                              "symlinkat", "unlink", "unlinkat", "rmdir"),
    "looks at names": ("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
                       "readlinkat", "getdents64"),
    "writes": ("write", "pwrite64", "writev", "sendto", "sendmsg", "copy_file_range", "sendfile"),
    "syncs": ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync"),
}  # fmt: skip
BYTES, STATEMENTS, COMMITS = "bytes written", "SQL statements", "SQL commits"
_KIND_OF = {call: kind for kind, calls in KINDS.items() for call in calls}
_CALL = re.compile(r"(\w+)\(")
_WRITTEN = re.compile(r"\) += (\d+)$")
_STATEMENT = re.compile(rb" LOG:  (statement|execute [^:]*): ")
_OUR_PROGRAMS = ("python", "trailblazer")


def trace_words(where: Path) -> list[str]:
    """Return the words before a command that have strace write a file for each of its threads, `where`.PID."""
    traced = f"trace=execve,{','.join(f'?{call}' for call in _KIND_OF)}"
    return ["strace", "-ff", "--seccomp-bpf", "-qq", "-s", "0", "-e", "signal=none", "-e", traced, "-o", str(where)]


def count_calls(where: Path) -> Counter[str]:
    """Return the calls of each kind in the files of a trace, and the bytes that were written.

    What a program of others does, once it has taken the place of ours in a process, is not counted.
    """
    found: Counter[str] = Counter()
    for file in where.parent.glob(f"{where.name}.*"):
        for line in file.read_text(errors="replace").splitlines():
            call = _CALL.match(line)
            if call is None:
                continue
            if call[1] == "execve" and line.endswith("= 0") and not _is_ours(line):
                break
            if kind := _KIND_OF.get(call[1]):
                found[kind] += 1
                if kind == "writes" and (written := _WRITTEN.search(line)):
                    found[BYTES] += int(written[1])
    return found


def _is_ours(line: str) -> bool:
    return any(program in Path(line.split('"')[1]).name for program in _OUR_PROGRAMS)


@dataclass(frozen=True, slots=True)
class Statements:
    """Counts what is asked of one database: its server writes every statement there to its log."""

    dsn: str
    log: Path

    def begin(self) -> int:
        """Have the server log every statement of whoever connects from now on, and return how long the log is."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET log_statement = 'all'".encode())
        return self.log.stat().st_size

    def count(self, begin: int) -> Counter[str]:
        """Return how many statements the log has from a place on."""
        lines = self.log.read_bytes()[begin:].splitlines()
        return Counter({STATEMENTS: sum(_STATEMENT.search(line) is not None for line in lines)})

    def commits(self) -> int:
        """Return how many transactions have been committed, when everybody else has gone: then the server knows."""
        ask = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            wait_for(lambda: connection.execute(ask).fetchone() == (0,), "nobody else is connected")
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            found = connection.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        assert found
        return int(found[0])


def counted(project: Project, *words: str, statements: Statements | None = None) -> Counter[str]:
    """Run trailblazer in a project to its good end, and return how much it asked for, by kind."""
    where = Path(tempfile.mkdtemp(dir=project.folder.parent)) / "trace"
    begin = statements.begin() if statements else 0
    before = statements.commits() if statements else 0
    done = subprocess.run(
        [*trace_words(where), sys.executable, "-c", PROGRAM, *words], cwd=project.folder, env=project.settings(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    found = count_calls(where)
    if statements:
        found += statements.count(begin) + Counter({COMMITS: statements.commits() - before})
    return found


def costs_of_one(few: Mapping[str, int], many: Mapping[str, int], more: int) -> dict[str, float]:
    """Return what each of `more` units costs: the difference between two sizes, so that the fixed part falls out."""
    return {kind: (many.get(kind, 0) - few.get(kind, 0)) / more for kind in {**few, **many}}


def too_many(found: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """Return a line for each kind that is above its limit, or has none."""
    return [
        f"{kind}: {found[kind]:.2f} each, at most {limits.get(kind, 0)}; see them with {_seen_by(kind)}"
        for kind in sorted(found)
        if found[kind] > limits.get(kind, 0)
    ]


def _seen_by(kind: str) -> str:
    if kind in {STATEMENTS, COMMITS}:
        return "log_statement = 'all' in the log of the server"
    return f"strace -f -y -e trace={','.join(KINDS['writes' if kind == BYTES else kind])}"
