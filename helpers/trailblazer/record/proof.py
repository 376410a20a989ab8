"""What makes a dispatch folder proof: archives of what went in, a seal over what came out, and its verification."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from trailblazer.atomic import digest_of, make_folder, sync_folder, whole_file, write_whole
from trailblazer.errors import PlanUnusable, storage_trouble
from trailblazer.record.manifest import Resource

SEAL = "SHA256SUMS"
EMPTY = hashlib.sha256(b"").hexdigest()
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}  # as sha256sum has them
_SPECIAL = re.compile(r"[\\\n\r]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ESCAPED = re.compile(r"\\[\\nr]")
_MEANT = {escaped: letter for letter, escaped in _ESCAPES.items()}
MOST_FILES = 10_000
MOST_BYTES = 4 << 30


def archive(source: Path, target: Path) -> list[Resource]:
    """Copy a folder's regular files and return them.

    Links are written down as what they point to and never followed; more than 10,000 files or 4 GiB are refused.
    """
    inputs: list[Resource] = []
    total = 0
    make_folder(target)
    for file in walk(source):
        name = f"{target.name}/{file.relative_to(source)}"
        if file.is_symlink():
            inputs.append(Resource(name, str(file), link=str(file.readlink())))
            continue
        if not file.is_file():
            continue
        total += file.stat().st_size
        if len(inputs) >= MOST_FILES or total > MOST_BYTES:
            raise PlanUnusable(f"{source} is too large to archive", "At most 10,000 files and 4 GiB: is it a bundle?")
        inputs.append(Resource(name, str(file), _copy(file, target, source)))
    return inputs


def archive_file(source: Path, target: Path) -> Resource:
    """Copy one file into a folder and return it."""
    make_folder(target)
    sha256 = _copy(source.resolve(), target, source.resolve().parent)
    return Resource(f"{target.name}/{source.resolve().name}", str(source), sha256)


def _copy(file: Path, target: Path, base: Path) -> str:
    copy = target / file.relative_to(base)
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            content = opened.read()
    except OSError as error:
        raise PlanUnusable(f"cannot read {file}: {error.strerror}", "All of a bundle is archived, or none.") from error
    write_whole(copy, content)
    return hashlib.sha256(content).hexdigest()


def walk(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder that is no folder, sorted, links not followed."""
    return map(Path, _walk(str(folder)))


def _walk(folder: str) -> Iterator[str]:
    """As `walk`, with paths as text: a sealed folder may hold a million files."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as found:
        for entry in found:
            (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
    for name in sorted(files):
        yield f"{folder}/{name}"
    for name in sorted(folders):
        yield from _walk(f"{folder}/{name}")


def mark(file: Path | str, state: os.stat_result | None = None) -> str:
    """Return what a file is known by: the SHA-256 of a regular one, where a link points to, the kind of any other.

    `state` is its lstat, for whoever has it already.
    """
    state = state or os.lstat(file)
    if stat.S_ISREG(state.st_mode):
        return digest_of(file, follow_links=False) if state.st_size else EMPTY
    if stat.S_ISLNK(state.st_mode):
        return f"-> {Path(file).readlink()}"
    return stat.filemode(state.st_mode)[0]


def is_digest(known_by: str) -> bool:
    """Say whether what a file is known by is that of a regular file."""
    return bool(_SHA256.fullmatch(known_by))


def seal(folder: Path) -> str:
    """Write SHA256SUMS over everything in the folder, last of all, and return its own SHA-256.

    `sha256sum -c SHA256SUMS` proves the regular files without us; what is none stands there as a comment. What the
    files hold is on the disk before the seal is.
    """
    sha256 = hashlib.sha256()
    base = len(str(folder)) + 1
    early = threading.Thread(target=os.sync)  # most of it goes to the disk while it is hashed
    early.start()
    try:
        with whole_file(folder / SEAL) as sums:
            own = os.fstat(sums.fileno())
            for file in _walk(str(folder)):
                state = os.lstat(file)
                if file[base:] != SEAL and not os.path.samestat(own, state):
                    line = _sum_line(mark(file, state), file[base:]).encode("utf-8", "surrogateescape")
                    sums.write(line)
                    sha256.update(line)
            early.join()
            os.sync()
    except OSError as error:
        raise storage_trouble(error, "seal") from error
    return sha256.hexdigest()


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
    """Return what was sealed: by its name, what each file is known by, as `mark` tells it."""
    sums = {}
    for line in (folder / SEAL).read_bytes().decode("utf-8", "surrogateescape").split("\n")[:-1]:
        if line.startswith("# "):
            name, known_by = json.loads(line[2:])
        else:
            known_by, _, name = line.removeprefix("\\").partition("  ")
            name = _ESCAPED.sub(lambda found: _MEANT[found[0]], name) if line.startswith("\\") else name
        sums[name] = known_by
    return sums
