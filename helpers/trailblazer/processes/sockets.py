"""Unix sockets for the processes of one user: at any depth of folders, and nobody else may connect."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trailblazer.atomic import PRIVATE_FILE

LARGEST_LINE = 1 << 16  # bytes
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a socket, as the kernel knows it."""

    name: str
    uid: int
    pid: int

    @property
    def is_allowed(self) -> bool:
        """Whether it belongs to our user, or to root."""
        return self.uid in {os.getuid(), 0}


def listen_at(file: Path) -> socket.socket:
    """Return a listening socket at a path, in the place of a stale one. Only its owner may connect."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        with _short_name(file) as name:
            listening.bind(name)
            os.chmod(name, PRIVATE_FILE)  # noqa: PTH101 - the path itself may be too long for a socket
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening


def connect_to(file: Path, seconds: float) -> socket.socket:
    """Return a socket that is connected to a path; every wait on it has the limit. Nobody there is an OSError."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connected.settimeout(seconds)
    try:
        with _short_name(file) as name:
            connected.connect(name)
    except BaseException:
        connected.close()
        raise
    return connected


@contextlib.contextmanager
def _short_name(file: Path) -> Iterator[str]:
    """Yield a path to a file that fits into the 107 bytes of a socket's address, however deep its folder is."""
    folder = os.open(file.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{file.name}"
    finally:
        os.close(folder)


def peer_of(connected: socket.socket) -> Peer:
    """Return who is at the other end."""
    pid, uid, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(user_name(uid), uid, pid)


def user_name(uid: int) -> str:
    """Return the name of a user, its number where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read_line(connected: socket.socket) -> bytes:
    """Return what comes up to a newline or the end; more than 64 KiB is a ValueError."""
    text = b""
    while b"\n" not in text:
        piece = connected.recv(LARGEST_LINE)
        text += piece
        if len(text) > LARGEST_LINE:
            raise ValueError(f"a line has {LARGEST_LINE} bytes at most")
        if not piece:
            break
    return text.partition(b"\n")[0]
