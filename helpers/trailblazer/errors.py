"""Every way in which trailblazer refuses, each with its exit code."""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False  # `typing` itself takes a tenth of the time a start may take
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import ClassVar


class Trouble(Exception):
    """Something a person can act on: what happened, and a hint on what to do about it.

    Only the command line prints it, as one line and an indented hint, and exits with its code.
    """

    exit_code = 1
    details: ClassVar[Mapping[str, str]] = MappingProxyType({})  # of an outcome that comes from it: its code and cause

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return self.what

    def __reduce__(self) -> tuple[type[Trouble], tuple[str, str]]:
        return type(self), (self.what, self.hint)


class WordsWrong(Trouble):
    """The words on the command line are not understood."""

    exit_code = 2


class ConfigWrong(Trouble):
    """The configuration breaks its schema."""

    exit_code = 3


class DocumentInvalid(Trouble):
    """A document breaks its schema, or is not readable as what it should be."""

    exit_code = 3


class PlanUnusable(Trouble):
    """The plan is missing, empty or unreadable."""

    exit_code = 4


class GateClosed(Trouble):
    """A free check said no: nothing was sent, nothing spent."""

    exit_code = 5


class ProofBroken(Trouble):
    """What a sealed folder holds is not what was sealed."""

    exit_code = 6


class AlreadyRunning(Trouble):
    """Another process holds what this one needs."""

    exit_code = 7


class ServiceDown(Trouble):
    """An outside service (database, provider, tracker, disk) did not answer; safe to repeat."""

    exit_code = 8


class StorageTrouble(ServiceDown):
    """A file could not be written: the disk is full, or the folder cannot be written to."""


class ProviderRefused(ServiceDown):
    """The provider says no for good (a wrong key, an unknown model): asking again changes nothing."""


class StaleClaim(Trouble):
    """The attempt no longer holds its item: somebody else took it over, and nothing was changed."""

    exit_code = 6


def storage_trouble(error: OSError, doing: str) -> StorageTrouble:
    """Return the trouble that an operating-system error on a file amounts to, with a hint that fits it."""
    import errno

    hints = {
        errno.ENOSPC: "Free some space on that disk, then run the same command again; nothing was lost.",
        errno.EFBIG: "The limit on a file (ulimit -f) is too low; raise it, then run the same command again.",
        errno.EDQUOT: "The disk quota is used up; free some space, then run the same command again.",
        errno.EPIPE: "Whoever read it has gone. What was done is kept.",
        errno.EROFS: "That file system is read-only; set TRAILBLAZER_PATHS_VAR to a folder that can be written to.",
        errno.EACCES: "Give this user the right to write there, or set TRAILBLAZER_PATHS_VAR to another folder.",
    }
    where = f" {error.filename}" if error.filename else ""
    what = f"cannot {doing}{where}: {error.strerror or error}"
    return StorageTrouble(what, hints.get(error.errno or 0, "Look at that path, then run the same command again."))
