"""Releases the claims of processes of this host that are dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trailblazer.database.driver import Connection, fetch
from trailblazer.database.statements import statement
from trailblazer.processes.identity import Identity, boot_id, holder_name, is_running, pid_namespace


def release_of_the_dead(connection: Connection, run_ids: Sequence[str] | None = None) -> list[str]:
    """Release the claims of dead processes of this host, on these runs or on all; return the released runs, sorted.

    Claims of other hosts stay. So do claims that this host cannot judge: those of processes in another container, and
    those without a start time.
    """
    host = {"host": holder_name(pid=0).removesuffix("0")}
    if run_ids is None:
        found = fetch(connection, "claims_on_host", _HeldHere, host)
    else:
        found = fetch(connection, "claims_of_runs_on_host", _HeldHere, {**host, "run_ids": list(run_ids)})
    dead = [held for held in found if held.is_dead()]
    naming = {"run_ids": [held.run_id for held in dead], "attempts": [held.attempt for held in dead]}
    return sorted(row[0] for row in connection.execute(statement("release_claims"), naming)) if dead else []


@dataclass(frozen=True, slots=True)
class _HeldHere:
    """A claim of a process of this host, with the identity of that process."""

    run_id: str
    attempt: int
    claimed_by: str
    claimed_ticks: int
    claimed_boot: str
    claimed_namespace: str

    def is_dead(self) -> bool:
        """Say whether the process is known to be dead."""
        if self.claimed_boot == boot_id() and self.claimed_namespace != pid_namespace():
            return False
        pid = self.claimed_by.rpartition("/")[2]
        return pid.isdecimal() and not is_running(Identity(int(pid), self.claimed_ticks, self.claimed_boot))
