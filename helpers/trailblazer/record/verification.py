"""Whether a sealed dispatch folder is what was sealed, in the manner of pg_verifybackup: all findings are listed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import digest_of
from trailblazer.errors import DocumentInvalid, StorageTrouble, Trouble
from trailblazer.record import proof
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
        verdict.findings.append(f"{folder} has no {proof.SEAL}: it was never sealed, or is being carried out")
        return verdict
    _check_seal(folder, seal, whence, verdict)
    _check_files(folder, verdict)
    try:
        _check_story(folder, verdict)
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
    before = len(verdict.findings)
    found = {str(file.relative_to(folder)): file for file in proof.walk(folder)}
    for name, known_by in sealed.items():
        file = found.pop(name, None)
        if file is None:
            verdict.findings.append(f"{name} was removed")
        elif proof.is_digest(known_by) and not _is_regular(file):
            verdict.findings.append(f"{name} is no longer a regular file")
        elif (now := _mark(file)) != known_by:
            verdict.findings.append(f"{name} {now if now.startswith(UNREAD) else 'was changed'}")
    verdict.findings += [f"{name} was added" for name in found if name != proof.SEAL]
    if len(verdict.findings) == before:
        verdict.proved.append(f"{len(sealed)} files are there, unchanged, and no other")


def _mark(file: Path) -> str:
    try:
        return proof.mark(file)
    except (OSError, StorageTrouble) as error:
        return f"{UNREAD}: {error.strerror if isinstance(error, OSError) else error.what}"


def _check_story(folder: Path, verdict: Verdict) -> None:
    """Hold manifest, journal, plan and archives against each other: they would differ had one been made up."""
    before = len(verdict.findings)
    for name in (MANIFEST, JOURNAL):
        if not _is_regular(folder / name):
            raise DocumentInvalid(f"{name} is no regular file")
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
    """Say whether a file is one that can be read to its end: a pipe in its place would be waited for."""
    return file.is_file() and not file.is_symlink()
