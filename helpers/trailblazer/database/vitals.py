"""Whether the embedded server of a var/ folder lives, whether it is ready, and where it is reached."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from trailblazer.errors import ServiceDown
from trailblazer.paths import Places

PORT = 5432
NAME = "trailblazer"


@dataclass(frozen=True, slots=True)
class Status:
    """How an embedded server is: whether it runs, whether it is ready, and where it is."""

    running: bool
    ready: bool
    pid: int | None
    folder: str
    dsn: str | None


def base_of(places: Places) -> Path:
    """Return the folder that holds everything of the embedded server."""
    return places.var.resolve() / "postgres"


def status(base: Path) -> Status:
    """Return how the server is, without starting it or waiting for it."""
    if not is_alive(base):
        return Status(False, False, None, str(base), None)
    return Status(True, is_ready(base), _pid(base), str(base), address(base))


def address(base: Path) -> str | None:
    """Return the DSN of a base that has data, whether its server runs or not; None where there is no data yet.

    A socket folder that another user could have made is refused: what answers there need not be our server.
    """
    try:
        owner = (base / "data").lstat().st_uid
    except OSError:
        return None
    folder = socket_folder(base, owner)
    check_private(folder, owner)
    return f"host='{folder}' port={PORT} dbname={NAME} user={NAME}"


def socket_folder(base: Path, owner: int) -> Path:
    """Return the folder of the socket: short, since the path of a socket may be 107 bytes at most."""
    digest = hashlib.sha256(os.fsencode(base.resolve())).hexdigest()[:12]
    return Path("/tmp") / f"{NAME}-{owner}-{digest}"  # noqa: S108 - private, and its owner is checked


def check_private(folder: Path, owner: int) -> None:
    """Refuse a socket folder that is a link, belongs to somebody else or lets others in; a missing one passes."""
    with contextlib.suppress(FileNotFoundError):
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
            raise ServiceDown(
                f"{folder} is not a private folder of uid {owner}", "Another user may have made it: remove it."
            )


def is_alive(base: Path) -> bool:
    """Say whether any process of a server of this base lives, in any container that shares the folder.

    The server and all its children hold a lock on a file from start to end, so neither a stale pid file, nor a pid
    that was given to somebody else, nor a zombie is taken for a server.
    """
    try:
        handle = os.open(base / ".running", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def is_ready(base: Path) -> bool:
    """Say whether the server accepts connections and has said itself, in its pid file, that it is ready."""
    lines = _pid_file(base)
    if len(lines) < 8 or lines[7].strip() != "ready":
        return False
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(f"{lines[4]}/.s.PGSQL.{PORT}")
        except OSError:
            return False
    return True


def is_ours(base: Path) -> bool:
    """Say whether the pid file names a process that works in this data folder, so that it may be signalled.

    A pid from another container, or of a server long gone, can belong to anybody here.
    """
    if not Path("/proc/self/cwd").exists():
        return True  # no /proc (macOS): there are no containers to share the folder with either
    try:
        return Path(f"/proc/{_pid(base)}/cwd").readlink() == (base / "data").resolve()
    except OSError:
        return False


def is_out_of_reach(base: Path) -> bool:
    """Say whether a server of ours runs on a socket that is gone: /tmp was cleaned, or the project was moved."""
    lines = _pid_file(base)
    if len(lines) < 8 or lines[7].strip() != "ready" or not is_ours(base):
        return False
    folder = socket_folder(base, (base / "data").lstat().st_uid)
    return lines[4] != str(folder) or not (folder / f".s.PGSQL.{PORT}").exists()


def wait_until_gone(base: Path, seconds: float) -> bool:
    """Wait until no process of the server lives, for so many seconds at most, and say whether that is so."""
    deadline = time.monotonic() + seconds
    while is_alive(base):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _pid_file(base: Path) -> list[str]:
    try:
        return (base / "data" / "postmaster.pid").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _pid(base: Path) -> int | None:
    lines = _pid_file(base)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None
