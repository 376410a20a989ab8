"""Whether a sealed dispatch folder is what was sealed, in the manner of pg_verifybackup: all findings are listed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import digest_of
from trailblazer.errors import DocumentInvalid, Trouble
from trailblazer.plain import one_line
from trailblazer.record import proof
from trailblazer.record.contents import (
    MOST_BYTES,
    UNREADABLE,
    Found,
    is_digest,
    is_unread,
    mark,
    opened,
    walk,
)
from trailblazer.record.folder import JOURNAL
from trailblazer.record.manifest import MANIFEST, read_manifest
from trailblazer.record.standing import Standing, read_standing

UNREAD = "cannot be read"


@dataclass(slots=True)
class Verdict:
    """What was proved, what could not be, and what does not hold."""

    proved: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def verify_folder(folder: Path, seal: str | None, whence: str) -> Verdict:
    """Return the verdict on a folder.

    `seal` is the SHA-256 of its SHA256SUMS as `whence` has it, or None when it cannot be had; `whence` then says why.
    """
    verdict = Verdict()
    if not _is_regular(folder / proof.SEAL):
        verdict.findings.append(f"{folder} has no {proof.SEAL}: it was never sealed, or it is still running")
        return verdict
    _check_seal(folder, seal, whence, verdict)
    for check in (_check_files, _check_story):
        try:
            check(folder, verdict)
        except Trouble as trouble:
            verdict.findings.append(trouble.what)
    return verdict


def _check_seal(folder: Path, seal: str | None, whence: str, verdict: Verdict) -> None:
    own = hashlib.sha256((folder / proof.SEAL).read_bytes()).hexdigest()
    if seal is None:
        verdict.unproved.append(f"that {proof.SEAL} itself is the original: {whence}")
    elif seal != own:
        verdict.findings.append(f"{proof.SEAL} is not the one that was sealed: {own}, but {whence} says {seal}")
    else:
        verdict.proved.append(f"{proof.SEAL} is the one that was sealed, by {whence}")


def _check_files(folder: Path, verdict: Verdict) -> None:
    sealed = proof.read_seal(folder)
    before, unproved = len(verdict.findings), 0
    with opened(folder) as root:
        found = {one.name: one for one in walk(root)}
        locked = {one.name: one.problem for one in found.values() if one.state is None}
        for name, known_by in sealed.items():
            one = found.pop(name, None)
            if is_unread(known_by) and _is_still_unread(root, name, one, known_by):
                verdict.unproved.append(f"what {one_line(name)} holds: {known_by} when it was sealed")
                unproved += 1
            elif (problem := _problem_of(root, name, one, known_by, locked)) is not None:
                verdict.findings.append(f"{name} {problem}")
    unread = {name for name, known_by in sealed.items() if is_unread(known_by)}
    for name, one in found.items():
        if one.state is None:
            verdict.findings.append(f"{name} {UNREAD}: {one.problem}")
        elif name != proof.SEAL and _folder_among(unread, name) is None:
            verdict.findings.append(f"{name} was added")
    if len(verdict.findings) == before:
        verdict.proved.append(f"{len(sealed) - unproved} files are there, unchanged, and no other")


def _is_still_unread(root: int, name: str, found: Found | None, known_by: str) -> bool:
    """Say whether what could not be read is there as it was; a folder that can be listed now is there too."""
    if known_by.startswith(UNREADABLE):
        return found is not None or _is_there(root, name)
    return found is not None and mark(root, found) == known_by


def _problem_of(root: int, name: str, found: Found | None, known_by: str, locked: Mapping[str, str]) -> str | None:
    """Return what is wrong with a sealed file, None when it is as it was."""
    if found is None:
        folder = _folder_among(locked, name)
        return "was removed" if folder is None else f"{UNREAD}: {folder} is locked: {locked[folder]}"
    if found.state is not None and is_digest(known_by) and not stat.S_ISREG(found.state.st_mode):
        return "is no longer a regular file"
    now = mark(root, found)
    if now == known_by:
        return None
    return f"{UNREAD}: {now.removeprefix(UNREADABLE)}" if is_unread(now) else "was changed"


def _folder_among(folders: Collection[str], name: str) -> str | None:
    """Return which of the folders something lies in, the nearest one."""
    while name and folders:
        name = name.rpartition("/")[0]
        if (name or ".") in folders:
            return name or "."
    return None


def _is_there(root: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=root, follow_symlinks=False)
    except OSError as error:
        return error.errno != errno.ENOENT
    return True


def _check_story(folder: Path, verdict: Verdict) -> None:
    """Hold manifest, journal, plan and archives against each other: they would differ had one been made up."""
    before = len(verdict.findings)
    for name in (MANIFEST, JOURNAL):
        if not _is_regular(folder / name):
            raise DocumentInvalid(f"{name} is no regular file, or is too large")
    document = schemas.read_json(folder / MANIFEST)
    verdict.findings += [
        f"{MANIFEST}: {violation}" for violation in schemas.violations_in("dispatch_manifest")(document)
    ]
    if len(verdict.findings) > before:
        return
    manifest = read_manifest(folder)
    if manifest.dispatch_id != folder.name:
        verdict.findings.append(f"the folder is named {folder.name}, the manifest is that of {manifest.dispatch_id}")
    verdict.findings += _check_lines(folder / JOURNAL)
    standing, head = _standing(folder)
    if head != manifest.journal_head:
        verdict.findings.append("the journal does not end where the manifest says it does")
    verdict.findings += [
        f"the manifest counts {manifest.counts.get(name)} {name}, the journal {number}"
        for name, number in standing.counted().items()
        if name != "unrun" and manifest.counts.get(name) != number
    ]
    for entry in manifest.inputs:
        file = folder / entry.name
        if entry.sha256 and (not _is_regular(file) or digest_of(file) != entry.sha256):
            verdict.findings.append(f"{entry.name} is not the file that went in")
    if len(verdict.findings) == before:
        verdict.proved.append(f"journal, manifest, plan and archives agree: {standing.settled} outcomes")


def _check_lines(journal: Path) -> list[str]:
    """Return the first line of each shape that breaks the schema of journal lines."""
    findings = []
    for number, line in enumerate(schemas.read_lines(journal), start=1):
        try:
            schemas.check_shape("journal_line", line, f"{JOURNAL}:{number}")
        except DocumentInvalid as invalid:
            findings.append(f"{JOURNAL}:{number} holds lines that no dispatch writes: {invalid.what}")
            break
    return findings


def _standing(folder: Path) -> tuple[Standing, str]:
    try:
        return read_standing(folder / JOURNAL)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        raise DocumentInvalid(f"{JOURNAL} holds lines that no dispatch writes") from None


def _is_regular(file: Path) -> bool:
    """Say whether a file is one that can be read to its end: a pipe is waited for, a terabyte takes hours."""
    try:
        state = file.lstat()
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size <= MOST_BYTES
