"""Whether a sealed dispatch folder is what was sealed, in the manner of pg_verifybackup: all findings are listed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.errors import DocumentInvalid, Trouble
from trailblazer.record import folder as record
from trailblazer.record import proof
from trailblazer.record.journal import FIRST, read_journal
from trailblazer.record.outcomes import Standing, Status

UNREAD = "cannot be read"
DERIVED = frozenset({"report.html"})


@dataclass(slots=True)
class Verdict:
    """What was proved, what could not be, and what does not hold."""

    proved: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def kept_seal(config: Config, dispatch_id: str) -> tuple[str | None, str]:
    """Return the seal that the database keeps for a dispatch, None with the reason when it cannot be had."""
    from trailblazer.database import vitals
    from trailblazer.database.connection import answering, connect, statement

    try:
        if not config["db.url"] and vitals.address(vitals.base_of(config.places)) is None:
            return None, "no database has been made here"
        with answering(), connect(config) as connection:
            row = connection.execute(statement("kept_seal"), {"dispatch_id": dispatch_id}).fetchone()
    except Trouble as trouble:
        return None, trouble.what
    return (row[0], "the database") if row and row[0] else (None, "the database has none")


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
    verdict.findings += [f"{name} was added" for name in found if name != proof.SEAL and name not in DERIVED]
    if len(verdict.findings) == before:
        verdict.proved.append(f"{len(sealed)} files are there, unchanged, and no other")


def _mark(file: Path) -> str:
    try:
        return proof.mark(file)
    except OSError as error:
        return f"{UNREAD}: {error.strerror}"


def _check_story(folder: Path, verdict: Verdict) -> None:
    """Hold manifest, journal, plan and archives against each other: they would differ had one been made up."""
    before = len(verdict.findings)
    for name in (record.MANIFEST, record.JOURNAL):
        if not _is_regular(folder / name):
            raise DocumentInvalid(f"{name} is no file that tells a story")
    manifest = schemas.read_json(folder / record.MANIFEST)
    verdict.findings += [
        f"{record.MANIFEST}: {violation}" for violation in schemas.violations_in("dispatch_manifest")(manifest)
    ]
    if len(verdict.findings) > before:
        return
    head = FIRST
    for line in read_journal(folder / record.JOURNAL):
        head = line["prev"]
    last = (folder / record.JOURNAL).read_bytes().splitlines()[-1:]
    head = hashlib.sha256(last[0]).hexdigest() if last else head
    if head != manifest["journalHead"]:
        verdict.findings.append("the journal does not end where the manifest says it does")
    standing = _standing(folder)
    counted = {"planned": standing.planned, **{status.value: standing.counts[status] for status in Status}}
    said = manifest["counts"]
    verdict.findings += [
        f"the manifest counts {said.get(name)} {name}, the journal {number}"
        for name, number in counted.items()
        if said.get(name) != number
    ]
    for entry in manifest["inputs"]:
        file = folder / entry["name"]
        if "digest" in entry and (not _is_regular(file) or proof.digest(file) != entry["digest"]["sha256"]):
            verdict.findings.append(f"{entry['name']} is not the file that went in")
    if len(verdict.findings) == before:
        verdict.proved.append(f"journal, manifest, plan and archives agree: {standing.settled} outcomes")


def _standing(folder: Path) -> Standing:
    try:
        return record.read_standing(folder)[0]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise DocumentInvalid(f"{record.JOURNAL} holds lines that no dispatch writes") from None


def _is_regular(file: Path) -> bool:
    """Say whether a file is one that can be read to its end: a pipe in its place would be waited for."""
    return file.is_file() and not file.is_symlink()
