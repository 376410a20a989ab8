"""Files appear whole or not at all, and what was said to be written is on the disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from trailblazer.errors import StorageTrouble, storage_trouble
from trailblazer.plain import plain
from trailblazer.streams import is_hushed, tell

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_DRAFT = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")


_told_when_made: dict[Path, str] = {}


def tell_when_made(folder: Path, line: str) -> None:
    """Have this process tell people a line when it makes a folder that is not there yet; {} in it is the folder."""
    if not is_hushed() and not folder.exists():
        _told_when_made[folder] = line.format(plain(str(folder)))


def make_folder(folder: Path, *, exist_ok: bool = True) -> Path:
    """Make a folder that only its owner can enter, its parents too, and return it."""
    missing = [folder]
    try:
        while missing:
            try:
                missing[-1].mkdir(mode=PRIVATE_FOLDER, exist_ok=exist_ok or len(missing) > 1)
                if line := _told_when_made.pop(missing.pop(), ""):
                    tell(f"{line}\n")
            except FileNotFoundError:
                if missing[-1].parent == missing[-1]:
                    raise
                missing.append(missing[-1].parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
            raise
        raise storage_trouble(error, "make the folder") from error
    return folder


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: after this a rename or a new file survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(folder: Path) -> None:
    """Make all that was written to the file system of a folder durable: many files at once are cheaper than each alone.

    What other processes have written there is waited for as well. A disk that is full or broken is StorageTrouble.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if libc.syncfs(handle) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        finally:
            os.close(handle)
    except OSError as error:
        raise storage_trouble(error, "write") from error


@contextlib.contextmanager
def whole_file(target: Path, *, mode: int = PRIVATE_FILE, durable: bool = True) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the target's place when the block ends well, and vanishes when it does not.

    With `durable` both the bytes and the name survive a power cut; without it only a crash of the process.
    """
    draft = _draft_of(target)
    try:
        with open(_open_draft(draft, mode), "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        _publish(draft, target, durable=durable)
    except OSError as error:
        raise _write_trouble(draft, target, error) from error
    except BaseException:
        _remove_draft(draft)
        raise


def _draft_of(target: Path | str) -> str:
    """Return a name beside a file that nobody else has, as text: pathlib takes as long as the system does to write."""
    folder, slash, _ = str(target).rpartition("/")
    return f"{folder}{slash}.draft.{os.getpid()}.{os.urandom(4).hex()}.tmp"  # short: a name has 255 bytes at most


def _open_draft(draft: str, mode: int) -> int:
    """Open a new file for writing; its folder is made when it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(draft, flags, mode)
    except FileNotFoundError:
        make_folder(Path(draft).parent)
        return os.open(draft, flags, mode)


def _write_draft(draft: str, content: bytes, mode: int, *, durable: bool) -> None:
    handle = _open_draft(draft, mode)
    try:
        write_all(handle, content)
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _publish(draft: str, target: Path | str, *, durable: bool) -> None:
    os.replace(draft, target)  # noqa: PTH105 - paths as text
    if durable:
        sync_folder(Path(target).parent)


def _write_trouble(draft: str, target: Path | str, error: OSError) -> StorageTrouble:
    _remove_draft(draft)
    error.filename = str(target)
    return storage_trouble(error, "write")


def _remove_draft(draft: Path | str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(draft)  # noqa: PTH108 - paths as text


def remove_drafts(folder: Path) -> None:
    """Remove what writers of whole files left in a folder when they were killed; nobody else may be writing there."""
    for file in folder.iterdir():
        if _DRAFT.fullmatch(file.name):
            _remove_draft(file)


def read_regular(file: Path | str, most: int, *, cut: bool = False, follow_links: bool = True) -> bytes:
    """Return what a file holds. Kind and size are looked at before anything is read.

    A pipe, a device, a folder and a file of more than `most` bytes is an OSError; `cut` returns the beginning instead.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
    handle = os.open(file, flags)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(file))
        if not cut and found.st_size > most:
            raise OSError(errno.EFBIG, f"it is too large: {found.st_size} bytes, at most {most} are read", str(file))
        pieces, left = [], min(found.st_size, most)
        while left > 0 and (piece := os.read(handle, left)):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(handle)


def write_whole(target: Path | str, content: bytes | str, *, mode: int = PRIVATE_FILE, durable: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new one, never a part."""
    draft = _draft_of(target)
    try:
        _write_draft(draft, content.encode() if isinstance(content, str) else content, mode, durable=durable)
        _publish(draft, target, durable=durable)
    except OSError as error:
        raise _write_trouble(draft, target, error) from error
    except BaseException:
        _remove_draft(draft)
        raise


def write_once(target: Path, content: bytes, *, mode: int = PRIVATE_FILE, durable: bool = True) -> bool:
    """Write a file that is whole from its first moment, unless it is there already; return whether it was written."""
    draft = _draft_of(target)
    try:
        _write_draft(draft, content, mode, durable=durable)
        with contextlib.suppress(FileExistsError):
            target.hardlink_to(draft)
            return True
        return False
    except OSError as error:
        raise _write_trouble(draft, target, error) from error
    finally:
        _remove_draft(draft)


def write_all(handle: int, content: bytes) -> None:
    """Write everything to a descriptor, or raise OSError: the system may take a part and say no only to the rest."""
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, content[written:])


def write_lines(target: Path, records: Iterable[Any], *, durable: bool = True) -> int:
    """Write NDJSON, one record a line, as a whole file; return how many lines it has."""
    count = 0
    with whole_file(target, durable=durable) as file:
        for count, record in enumerate(records, start=1):  # noqa: B007 - the count is what is returned
            file.write(line_of(record))
    return count


def line_of(record: Any) -> bytes:
    """Return a record as one line of NDJSON, without spaces and with its newline."""
    import orjson

    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or a number of more than 64 bits
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def digest_of(file: Path | str, *, follow_links: bool = True) -> str:
    """Return the SHA-256 of a file, in hex. A file that cannot be read is refused with StorageTrouble.

    Without `follow_links` a symbolic link is such a file.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW))
        with open(handle, "rb", buffering=0) as opened:  # noqa: PTH123 - wraps a descriptor, not a path
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        error.filename = str(file)
        raise storage_trouble(error, "read") from error


def remove_tree(folder: Path) -> None:
    """Delete a folder and everything in it, however deep it is and whatever its owner locked; links are not followed.

    A folder inside is first moved to the top: nothing recurses, and no path grows too long.
    """
    if folder.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    waiting = [folder]
    while waiting:
        here = waiting[-1]
        here.chmod(PRIVATE_FOLDER)
        inner = []
        with os.scandir(here) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                else:
                    os.unlink(entry.path)  # noqa: PTH108 - paths as text: there may be a million
        for path in inner:
            Path(path).chmod(PRIVATE_FOLDER)  # a folder that its owner may not write to cannot be moved
            waiting.append(Path(path).rename(folder / f".{os.urandom(8).hex()}"))
        if not inner:
            waiting.pop().rmdir()


def cut_torn_tail(file: IO[bytes]) -> int:
    """Cut what follows the last newline of a journal opened for update; return how many bytes went.

    A writer that was killed may leave half a line, and a line appended to it would be lost with it.
    """
    end = file.seek(0, os.SEEK_END)
    position = end
    while position > 0:
        start = max(0, position - 65536)
        file.seek(start)
        newline = file.read(position - start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        position = start
    else:
        keep = 0
    if keep != end:
        file.truncate(keep)
    file.seek(keep)
    return end - keep
