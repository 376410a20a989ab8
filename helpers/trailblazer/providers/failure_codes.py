"""Why work failed, in six codes and finer causes (N6): the tables are data, and one line tells each outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trailblazer.plain import one_line
from trailblazer.providers.answers import Kind
from trailblazer.record.outcomes import GOOD, Outcome, Refusal, Status


class Code(StrEnum):
    """The six codes of a failure, for filters; a `Cause` stands beside each."""

    CLAIM_FAILED = "claim_failed"
    PREFLIGHT_FAILED = "preflight_failed"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    RUNNER_ERROR = "runner_error"
    TIMEOUT = "timeout"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a provider cannot work, or why an attempt failed."""

    NOT_INSTALLED = "not_installed"
    NOT_LOGGED_IN = "not_logged_in"
    NO_CREDIT = "no_credit"
    QUOTA = "quota"
    BUDGET = "budget"  # it has spent what the configuration gives it
    RATE_LIMITED = "rate_limited"
    MODEL_MISSING = "model_missing"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    IDLE = "idle"  # it was silent for too long
    NO_CHANGE = "no_change"  # it says success, and what it should have made is not there
    OUTPUT = "output"  # the output is not what was expected
    PERMISSION_DENIED = "permission_denied"
    CAPPED = "capped"  # it reached its limit of money or turns
    CRASHED = "crashed"
    STOPPED = "stopped"  # somebody ended it
    CANCELLED = "cancelled"  # we ended it
    FAILED = "failed"  # it says that it failed, and not why
    HELD = "held"  # somebody else works on the item
    TRACKER = "tracker"
    WORKTREE = "worktree"
    RUNNER_BUSY = "runner_busy"  # the runner works on this issue already, or has no room
    RUNNER_MODE = "runner_mode"
    RUNNER_SCOPE = "runner_scope"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why work failed."""

    code: Code
    cause: Cause

    @property
    def details(self) -> dict[str, str]:
        """The failure as the details of an outcome hold it."""
        return {"code": self.code.value, "cause": self.cause.value}


UNKNOWN = Failure(Code.UNKNOWN, Cause.UNKNOWN)
_PROVIDER, _RUNNER = Code.PROVIDER_UNAVAILABLE, Code.RUNNER_ERROR

KINDS: Mapping[Kind, Failure] = {
    Kind.QUOTA: Failure(_PROVIDER, Cause.QUOTA),
    Kind.BILLING: Failure(_PROVIDER, Cause.NO_CREDIT),
    Kind.AUTH: Failure(_PROVIDER, Cause.NOT_LOGGED_IN),
    Kind.MODEL: Failure(_PROVIDER, Cause.MODEL_MISSING),
    Kind.RATE: Failure(_PROVIDER, Cause.RATE_LIMITED),
    Kind.TRANSIENT: Failure(_PROVIDER, Cause.UNREACHABLE),
    Kind.REFUSED: Failure(_RUNNER, Cause.PERMISSION_DENIED),
    Kind.CAPPED: Failure(_RUNNER, Cause.CAPPED),
    Kind.STOPPED: Failure(_RUNNER, Cause.STOPPED),
    Kind.FAILED: Failure(_RUNNER, Cause.FAILED),
}

# The exit codes of `dx-runner start`.
RUNNER_STARTS: Mapping[int, Failure] = {
    20: Failure(_PROVIDER, Cause.UNREACHABLE),
    21: Failure(Code.PREFLIGHT_FAILED, Cause.UNKNOWN),
    22: Failure(_RUNNER, Cause.WORKTREE),
    24: Failure(_RUNNER, Cause.TRACKER),
    25: Failure(_PROVIDER, Cause.MODEL_MISSING),
    26: Failure(_RUNNER, Cause.RUNNER_BUSY),
    27: Failure(_RUNNER, Cause.RUNNER_MODE),
    29: Failure(_RUNNER, Cause.RUNNER_SCOPE),
}

# The exit codes of `dx-runner check`.
RUNNER_CHECKS: Mapping[int, Failure] = {
    2: Failure(Code.TIMEOUT, Cause.IDLE),
    3: Failure(_RUNNER, Cause.FAILED),
    23: Failure(_RUNNER, Cause.NO_CHANGE),
}

# What a reason_code or an ERROR_CODE of dx-runner has in it, the finer first.
REASON_CODES: tuple[tuple[str, Cause], ...] = (
    ("already_running", Cause.RUNNER_BUSY),
    ("not_acknowledged", Cause.TIMEOUT),
    ("quota", Cause.QUOTA),
    ("rate_limit", Cause.RATE_LIMITED),
    ("billing", Cause.NO_CREDIT),
    ("credit", Cause.NO_CREDIT),
    ("auth", Cause.NOT_LOGGED_IN),
    ("model", Cause.MODEL_MISSING),
    ("not_installed", Cause.NOT_INSTALLED),
    ("not_found", Cause.NOT_INSTALLED),
    ("permission", Cause.PERMISSION_DENIED),
    ("worktree", Cause.WORKTREE),
    ("beads", Cause.TRACKER),
    ("scope", Cause.RUNNER_SCOPE),
    ("no_op", Cause.NO_CHANGE),
    ("stall", Cause.IDLE),
    ("timeout", Cause.TIMEOUT),
    ("network", Cause.UNREACHABLE),
    ("unreachable", Cause.UNREACHABLE),
    ("stopped", Cause.STOPPED),
    ("process_exited", Cause.CRASHED),
)

_PROVIDERS_OWN = frozenset(
    {failure.cause for failure in KINDS.values() if failure.code is _PROVIDER} | {Cause.NOT_INSTALLED}
)


def failure_of_kind(kind: Kind) -> Failure:
    """Return what a kind of answer means as a failure; ok is unknown."""
    return KINDS.get(kind, UNKNOWN)


def failure_of_end(why: str, kind: Kind | None = None) -> Failure:
    """Return what an attempt means that we ended: `why` as in order.Finished, `kind` what its output says.

    An agent that was ended while it waited for its provider has the provider's cause.
    """
    if why == "cancelled":
        return Failure(_RUNNER, Cause.CANCELLED)
    seen = failure_of_kind(kind) if kind else UNKNOWN
    own = seen.cause if seen.code is _PROVIDER else Cause.IDLE if why == "idle" else Cause.TIMEOUT
    return Failure(Code.TIMEOUT, own)


def failure_of_start(error: Exception) -> Failure:
    """Return what the error means with which a command could not be started."""
    if isinstance(error, FileNotFoundError):
        return Failure(_PROVIDER, Cause.NOT_INSTALLED)
    return Failure(_RUNNER, Cause.WORKTREE if isinstance(error, NotADirectoryError) else Cause.FAILED)


def failure_of_runner(verb: str, exit_code: int | None, reason_code: str = "") -> Failure:
    """Return what the exit code of `dx-runner start` or `check` means; a reason code says the cause more exactly."""
    table = RUNNER_STARTS if verb == "start" else RUNNER_CHECKS
    failure = table.get(-1 if exit_code is None else exit_code, Failure(_RUNNER, Cause.UNKNOWN))
    said = reason_code.casefold()
    cause = next((cause for part, cause in REASON_CODES if part in said), None)
    if cause is None:
        return failure
    is_plain = failure.code is _RUNNER and failure.cause in {Cause.UNKNOWN, Cause.FAILED}
    return Failure(_PROVIDER if is_plain and cause in _PROVIDERS_OWN else failure.code, cause)


def failure_of(outcome: Outcome) -> Failure:
    """Return why an outcome is no success: by the code and cause in its details, else by its status and refusal."""
    details = outcome.details
    try:
        return Failure(Code(details["code"]), Cause(details["cause"]))
    except (KeyError, ValueError):
        pass
    if outcome.status is Status.TIMEOUT:
        return Failure(Code.TIMEOUT, Cause.TIMEOUT)
    if outcome.status is Status.CANCELLED:
        return Failure(_RUNNER, Cause.CANCELLED)
    return _BY_REFUSAL.get(outcome.refusal, UNKNOWN)


_BY_REFUSAL: Mapping[Refusal, Failure] = {
    Refusal.HELD: Failure(Code.CLAIM_FAILED, Cause.HELD),
    Refusal.GATE: Failure(Code.PREFLIGHT_FAILED, Cause.UNKNOWN),
    Refusal.TRANSIENT: Failure(_PROVIDER, Cause.UNREACHABLE),
    Refusal.FINAL: Failure(_PROVIDER, Cause.UNKNOWN),
}
_PLAIN = re.compile(r"[^\s\"'\\=]+")


def outcome_line(issue: str, provider: str, outcome: Outcome, milliseconds: float) -> str:
    """Return the one line that tells an outcome to programs (N6); a value with blanks in it is quoted."""
    who = f"beads={_value(issue)} provider={_value(provider)}"
    duration = f"duration_ms={round(milliseconds)}"
    if outcome.status in GOOD:
        return f"DISPATCH_SUCCESS {who} {duration}"
    failure = failure_of(outcome)
    error = _value(outcome.reason or outcome.status.value)
    return f"DISPATCH_FAILURE {who} code={failure.code} cause={failure.cause} error={error} {duration}"


def _value(text: str) -> str:
    plain = one_line(text, 300)
    if _PLAIN.fullmatch(plain):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
