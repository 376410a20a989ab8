"""The record that a dispatch works with: a new one with its archive, or the one that is resumed."""

from __future__ import annotations

import contextlib
from pathlib import Path

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.dispatch.engine import closing_for
from trailblazer.dispatch.work import Work
from trailblazer.errors import ProofBroken, ServiceDown, Trouble
from trailblazer.places.local import end_survivors
from trailblazer.record import proof
from trailblazer.record.folder import JOURNAL, Record, hold, open_record, reopen_record
from trailblazer.record.manifest import MANIFEST, read_manifest
from trailblazer.record.pruning import clean_leftovers
from trailblazer.record.seals import kept_seal, withdraw_seal
from trailblazer.record.standing import read_standing
from trailblazer.record.verification import verify_folder


def open_for(work: Work) -> Record:
    """Return the record of a new dispatch with its archive, or of the one that is resumed."""
    with contextlib.suppress(OSError):
        clean_leftovers(work.config.places)
    if work.resumes is not None:
        record = _reopen(work.resumes, work.config, only_failed=work.only_failed, force=work.force)
        record.publish(caps=work.caps())
        return record
    parameters = dict(work.parameters())
    schemas.check(work.schema, parameters, MANIFEST)
    record = open_record(work.config.places, work.seed(), planned=work.planned, parameters=parameters)
    try:
        words = {"resume_with": f"{work.command} --resume", "retry_with": f"{work.command} --retry-failed"}
        record.publish(inputs=tuple(work.archive(record.folder)), caps=work.caps(), **words)
    except BaseException as error:
        with contextlib.closing(record), contextlib.suppress(Trouble):  # the error itself must not be hidden
            closing = closing_for(error, record)
            record.complete(closing.exit_code, closing.why)
            record.seal()
        raise
    return record


def _reopen(folder: Path, config: Config, *, only_failed: bool, force: bool) -> Record:
    """Return the record of an earlier dispatch, and end its processes. A changed folder is refused with ProofBroken."""
    lock = hold(folder)  # first: the processes of a dispatcher that lives must not be ended
    try:
        changed = _changes_in(folder, config)
        if changed and not force:
            hint = "\n".join([*changed[1:], "`trailblazer verify` shows all of it. To resume all the same: --force."])
            raise ProofBroken(f"dispatch {folder.name} is not as it was sealed: {changed[0]}", hint)
        if changed or (folder / proof.SEAL).is_file():
            _withdraw_seal(folder, config, force=force)
        standing, _ = read_standing(folder / JOURNAL)
        ended = end_survivors(folder, [group.handle for group in standing.unfinished() if group.handle])
    except BaseException:
        lock.free()
        raise
    return reopen_record(folder, lock, ended=ended, changed=changed, only_failed=only_failed)


def _changes_in(folder: Path, config: Config) -> list[str]:
    """Return what somebody changed in a sealed folder. A folder that was not closed has no seal, and proves nothing."""
    if (folder / proof.SEAL).is_file():
        return verify_folder(folder, *kept_seal(config, folder.name)).findings
    if read_manifest(folder).seal_kept_in is None or kept_seal(config, folder.name)[0] is None:
        return []
    return [f"{proof.SEAL} was removed; the database keeps its digest"]


def _withdraw_seal(folder: Path, config: Config, *, force: bool) -> None:
    """Have the database forget the seal: else the next one would count as forged when it cannot be kept."""
    if read_manifest(folder).seal_kept_in is None:
        return
    try:
        withdraw_seal(config, folder.name)
    except ServiceDown as trouble:
        if not force:
            hint = "Run the same command again when it answers. To carry on without a proof: --force."
            raise ServiceDown(f"the seal of {folder.name} cannot be withdrawn: {trouble.what}", hint) from trouble
