"""Who has a claim on an issue, as one text that a tracker shows and that can be judged later."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum

from trailblazer.processes.identity import Identity, boot_id, holder_name, is_running, own_identity, pid_namespace

PROGRAM = "trailblazer"
_NAME = re.compile(
    r"trailblazer@(?P<host>[^\s/#~]+)/(?P<pid>[0-9]{1,10})#(?P<dispatch>[A-Za-z0-9._-]{1,100})"
    r"(?:~(?P<ticks>[0-9]{1,20})\.(?P<boot>[0-9a-f]{0,8})\.(?P<namespace>[0-9]{0,20}))?"
)


class Life(Enum):
    """What this host knows of a process."""

    ALIVE, DEAD, UNKNOWN = "alive", "dead", "unknown"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that claims issues: `trailblazer@HOST/PID#DISPATCH~TICKS.BOOT.NAMESPACE`.

    The part after `~` is the start of the process (clock ticks), its boot and its pid namespace. A pid that is used
    again, or that belongs to another container, is told from it.
    """

    host: str
    pid: int
    dispatch: str
    ticks: int | None = None
    boot: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        identity = "" if self.ticks is None else f"~{self.ticks}.{self.boot}.{self.namespace}"
        return f"{PROGRAM}@{self.host}/{self.pid}#{self.dispatch}{identity}"

    def life(self) -> Life:
        """Return whether the process lives, as far as this host knows: it cannot judge other hosts and containers."""
        if self.host != os.uname().nodename or self.ticks is None:
            return Life.UNKNOWN
        if self.boot != boot_id()[:8]:
            return Life.DEAD
        if self.namespace != _namespace():
            return Life.UNKNOWN
        return Life.ALIVE if is_running(Identity(self.pid, self.ticks, boot_id())) else Life.DEAD


def own_holder(dispatch: str) -> str:
    """Return the name under which this process claims issues for a dispatch (its timestamp)."""
    own = own_identity()
    host = os.uname().nodename
    return str(Holder(host, own.pid, dispatch, own.ticks, own.boot[:8], _namespace()))


def own_prefix() -> str:
    """Return how the names of all holders on this host begin: `trailblazer@HOST/`."""
    return f"{PROGRAM}@{holder_name(pid=0).removesuffix('0')}"


def read_holder(name: str) -> Holder | None:
    """Return the holder that a name means; None for the name of a person or of another program."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    ticks = int(found["ticks"]) if found["ticks"] else None
    return Holder(
        found["host"], int(found["pid"]), found["dispatch"], ticks, found["boot"] or "", found["namespace"] or ""
    )


def life_of(name: str) -> Life:
    """Return what this host knows of the process that a holder's name means; unknown for the name of a person."""
    holder = read_holder(name)
    return Life.UNKNOWN if holder is None else holder.life()


def is_dead(issue_id: str, name: str) -> bool:  # noqa: ARG001 - it is the usual `IsOver`
    """Say whether a name is that of a process of ours on this host that is known to be dead."""
    return life_of(name) is Life.DEAD


def _namespace() -> str:
    return "".join(filter(str.isdigit, pid_namespace()))
