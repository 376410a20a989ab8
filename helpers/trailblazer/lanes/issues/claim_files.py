"""Claims as files in var/claims/: each issue of a tracker has one holder on this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from trailblazer import schemas
from trailblazer.atomic import make_folder, read_regular, remove_drafts, write_once
from trailblazer.errors import DocumentInvalid, ServiceDown, storage_trouble
from trailblazer.lanes.issues.holder import Life, life_of
from trailblazer.lanes.issues.tracker import IsOver
from trailblazer.processes.lock import lock_within

_MOST_BYTES = 1 << 16
_SUFFIX = ".json"
_NOBODY_KNOWN = "a claim file that cannot be read"


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """What a claim file holds; both moments are ISO 8601, UTC."""

    issue: str
    holder: str
    claimed_at: str
    alive_at: str


class ClaimFiles:
    """The claims on the issues of one tracker. Each change is made under a kernel lock, which ends with its process.

    A claim that `is_over` is broken at once. The claim of a holder whom this host cannot judge (on another host) is
    broken when he has given no sign of life for `lease_seconds`. Waiting for the lock is limited to `seconds`; then,
    and when the disk refuses, a call raises ServiceDown (exit 8).
    """

    def __init__(self, folder: Path, lease_seconds: float, seconds: float, is_over: IsOver) -> None:
        self._folder, self._lease, self._seconds, self._is_over = folder, lease_seconds, seconds, is_over

    def take(self, issue_id: str, holder: str) -> str:
        """Claim an issue, and return who has the claim now: this holder, or the one who was first."""
        with self._locked():
            found = self._read(issue_id)
            if found is not None and found.holder != holder:
                if not self._is_free(found):
                    return found.holder
                self._file(issue_id).unlink(missing_ok=True)
            if found is None or found.holder != holder:
                now = _now()
                self._create(ClaimFile(issue_id, holder, now, now))
            written = self._read(issue_id)
            return written.holder if written else ""

    def give_back(self, issue_id: str, holder: str) -> bool:
        """Remove the claim of a holder, and say whether the issue is free; the claim of anybody else stays."""
        with self._locked():
            found = self._read(issue_id)
            if found is not None and found.holder != holder:
                return False
            self._file(issue_id).unlink(missing_ok=True)
            return True

    def refresh(self, issue_id: str, holder: str) -> str:
        """Give a sign of life for a claim, and return who has it: this holder, somebody else, or nobody (empty)."""
        with self._locked():
            found = self._read(issue_id)
            if found is not None and found.holder == holder:
                document = asdict(replace(found, alive_at=_now()))
                schemas.publish("issue_claim", document, self._file(issue_id), durable=False, once_per_shape=True)
            return found.holder if found else ""

    def holder_of(self, issue_id: str) -> str:
        """Return who has the claim on an issue, empty when nobody has; a claim that can be broken does not count."""
        found = self._read(issue_id)
        return found.holder if found is not None and not self._is_free(found) else ""

    def held(self) -> tuple[ClaimFile, ...]:
        """Return every claim, also those that can be broken, by issue."""
        with contextlib.suppress(FileNotFoundError):
            names = sorted(file.name.removesuffix(_SUFFIX) for file in self._folder.glob(f"*{_SUFFIX}"))
            return tuple(found for name in names if (found := self._read(name)) is not None)
        return ()

    def _is_free(self, claim: ClaimFile) -> bool:
        if self._is_over(claim.issue, claim.holder):
            return True
        return life_of(claim.holder) is Life.UNKNOWN and _age(claim.alive_at) > self._lease

    def _file(self, issue_id: str) -> Path:
        return self._folder / f"{issue_id}{_SUFFIX}"

    def _read(self, issue_id: str) -> ClaimFile | None:
        """Return a claim, or None when there is none. What is in a file that nobody can read counts as a claim."""
        file = self._file(issue_id)
        try:
            document = schemas.parse_json(read_regular(file, _MOST_BYTES, follow_links=False))
            schemas.check("issue_claim", document, str(file))
            return schemas.as_record(ClaimFile, document)
        except FileNotFoundError:
            return None
        except (ValueError, DocumentInvalid, OSError):
            with contextlib.suppress(OSError):
                changed = datetime.fromtimestamp(file.lstat().st_mtime, UTC).isoformat()
                return ClaimFile(issue_id, _NOBODY_KNOWN, changed, changed)
            return None

    def _create(self, claim: ClaimFile) -> None:
        """Write a claim that is whole from its first moment. One that is there already stays, and wins."""
        document = asdict(claim)
        schemas.check_shape("issue_claim", document, claim.issue)
        write_once(self._file(claim.issue), orjson.dumps(document), durable=False)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the folder; it waits for other processes and threads, but not longer than the limit."""
        make_folder(self._folder)
        try:
            handle = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise storage_trouble(error, "lock the claims in") from error
        try:
            if not lock_within(handle, self._seconds):
                why = f"another process has had the lock of {self._folder} for {self._seconds:g} s"
                raise ServiceDown(why, "Look for a trailblazer that does not go on.")
            yield
        finally:
            os.close(handle)

    def sweep(self) -> None:
        """Remove what writers of claims left behind when they were killed."""
        with self._locked():
            remove_drafts(self._folder)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _age(moment: str) -> float:
    """Return the seconds since a moment; a moment that is none is long ago."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return float("inf")
    return (datetime.now(UTC) - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()
