"""What makes a dispatch folder proof: archives of what went in, a seal over what came out, and its verification."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from trailblazer.atomic import make_folder, sync_file_system, sync_folder, whole_file
from trailblazer.errors import DocumentInvalid, PlanUnusable, StorageTrouble, storage_trouble
from trailblazer.plain import one_line
from trailblazer.record.contents import MOST_BYTES, is_digest, is_unread, mark, opened, walk
from trailblazer.record.manifest import Resource
from trailblazer.schemas import parse_json

SEAL = "SHA256SUMS"
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # as sha256sum has them
_SPECIAL = re.compile(r"[\\\n\r]")
_ESCAPED = re.compile(r"\\[\\nr]")
_MEANT = {escaped: letter for letter, escaped in _ESCAPES.items()}
MOST_FILES = 10_000
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal: the SHA-256 of SHA256SUMS, and the names of what it cannot prove, each with the reason."""

    sha256: str
    unread: tuple[str, ...] = ()


def archive(source: Path, target: Path) -> list[Resource]:
    """Copy a folder's regular files and return them.

    Links are written down as what they point to and never followed. A folder that cannot be read whole, or holds more
    than 10,000 files or 4 GiB, is refused with PlanUnusable (exit 4).
    """
    inputs: list[Resource] = []
    total = 0
    make_folder(target)
    with opened(source) as folder:
        for found in walk(folder):
            name, file = f"{target.name}/{found.name}", f"{source}/{found.name}"
            if found.state is None:
                raise _unreadable(file, found.problem)
            if stat.S_ISLNK(found.state.st_mode):
                inputs.append(Resource(name, file, link=os.readlink(found.name, dir_fd=folder)))
                continue
            if not stat.S_ISREG(found.state.st_mode):
                continue
            total += found.state.st_size
            if len(inputs) >= MOST_FILES or total > MOST_BYTES:
                hint = "At most 10,000 files and 4 GiB: is it a bundle?"
                raise PlanUnusable(f"{source} is too large to archive", hint)
            inputs.append(Resource(name, file, _copy(file, target / found.name, folder, found.name)))
    return inputs


def archive_file(source: Path, target: Path) -> Resource:
    """Copy one file into a folder and return it."""
    make_folder(target)
    file = source.resolve()
    return Resource(f"{target.name}/{file.name}", str(source), _copy(str(file), target / file.name))


def _copy(file: str, copy: Path, folder: int | None = None, name: str = "") -> str:
    """Copy a file, whose name in an open folder may be shorter, and return its SHA-256."""
    sha256 = hashlib.sha256()
    try:
        handle = os.open(name or file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise _unreadable(file, error.strerror) from error
    try:
        left = os.fstat(handle).st_size
        with whole_file(copy) as copied:
            while left > 0 and (piece := _read(handle, min(left, _PIECE), file)):
                copied.write(piece)
                sha256.update(piece)
                left -= len(piece)
    finally:
        os.close(handle)
    return sha256.hexdigest()


def _read(handle: int, size: int, file: str) -> bytes:
    try:
        return os.read(handle, size)
    except OSError as error:
        raise _unreadable(file, error.strerror) from error


def _unreadable(file: str, why: str | None) -> PlanUnusable:
    return PlanUnusable(f"cannot read {one_line(file)}: {why}", "All of a bundle is archived, or none.")


def seal(folder: Path) -> Seal:
    """Write SHA256SUMS over everything in the folder, last of all, and return the seal.

    `sha256sum -c SHA256SUMS` proves the regular files without us; the others stand there as comments, and so does
    what cannot be read or is too large. What others could read is made private. What the files hold is on the disk
    before the seal is.
    """
    sha256 = hashlib.sha256()
    unread: list[str] = []
    early = threading.Thread(target=_sync_early, args=(folder,))  # most goes to the disk while it is hashed
    early.start()
    try:
        with whole_file(folder / SEAL) as sums, opened(folder) as root:
            own = os.fstat(sums.fileno())
            for found in walk(root, make_private=True):
                if found.name != SEAL and not (found.state and os.path.samestat(own, found.state)):
                    known_by = mark(root, found)
                    if is_unread(known_by):
                        unread.append(f"{found.name} ({known_by})")
                    line = _sum_line(known_by, found.name).encode("utf-8", "surrogateescape")
                    sums.write(line)
                    sha256.update(line)
            early.join()
            sync_file_system(folder)
    except OSError as error:
        raise storage_trouble(error, "seal") from error
    return Seal(sha256.hexdigest(), tuple(unread))


def _sync_early(folder: Path) -> None:
    with contextlib.suppress(StorageTrouble):  # the sync behind it says so
        sync_file_system(folder)


def _sum_line(known_by: str, name: str) -> str:
    if not is_digest(known_by):
        return f"# {json.dumps([name, known_by])}\n"
    if _SPECIAL.search(name):
        return "\\" + known_by + "  " + _SPECIAL.sub(lambda found: _ESCAPES[found[0]], name) + "\n"
    return f"{known_by}  {name}\n"


def unseal(folder: Path) -> bool:
    """Remove a folder's seal, and say whether it had one."""
    with contextlib.suppress(FileNotFoundError):
        (folder / SEAL).unlink()
        sync_folder(folder)
        return True
    return False


def read_seal(folder: Path) -> dict[str, str]:
    """Return what was sealed: by its name, what each file is known by, as `mark` tells it.

    A file that no seal looks like is refused with DocumentInvalid.
    """
    sums = {}
    try:
        text = (folder / SEAL).read_bytes().decode("utf-8", "surrogateescape")
        for line in text.split("\n")[:-1]:
            if line.startswith("# "):
                name, known_by = parse_json(line[2:].encode())
            else:
                known_by, _, name = line.removeprefix("\\").partition("  ")
                name = _ESCAPED.sub(lambda found: _MEANT[found[0]], name) if line.startswith("\\") else name
            sums[str(name)] = str(known_by)
    except OSError as error:
        raise DocumentInvalid(f"cannot read {SEAL}: {error.strerror}", "Look at that file.") from error
    except (ValueError, TypeError):
        raise DocumentInvalid(f"{SEAL} holds lines that no seal has", "The seal was damaged.") from None
    return sums
