"""What the suites of signals know, in Postgres: symptoms, clusters, findings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trailblazer.database.connection import Connection, Link, fetch, statement


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a suite knows at one moment.

    `symptoms` are (symptom, component, cases), `clusters` (id, representative, members), `findings` (cluster id,
    component, root cause); all in a fixed order.
    """

    triaged: int = 0
    symptoms: Sequence[tuple[str, str, int]] = ()
    clusters: Sequence[tuple[str, str, Sequence[str]]] = ()
    findings: Sequence[tuple[str, str, str]] = ()


class SuiteStore:
    """The store of one suite, for any number of threads. A database that does not answer is ServiceDown."""

    def __init__(self, connect: Callable[[], Connection], suite_id: str) -> None:
        self._link, self._suite_id = Link(connect), suite_id
        self._lock = threading.Lock()

    def keep_symptom(self, case_id: str, dispatch_id: int, component: str, symptom: str) -> None:
        """Keep the symptom of a case, unless a later attempt has named one."""
        self._keep(
            statement("keep_symptom"), case_id=case_id, dispatch_id=dispatch_id, component=component, symptom=symptom
        )

    def keep_cluster(self, cluster_id: str, representative: str, members: Sequence[str]) -> None:
        """Keep the members of a cluster."""
        self._keep(
            statement("keep_cluster"), cluster_id=cluster_id, representative=representative, members=list(members)
        )

    def keep_finding(self, cluster_id: str, dispatch_id: int, component: str, root_cause: str) -> None:
        """Keep what was found out about a cluster, unless a later attempt has found something."""
        self._keep(
            statement("keep_finding"),
            cluster_id=cluster_id,
            dispatch_id=dispatch_id,
            component=component,
            root_cause=root_cause,
        )

    def knowledge(self) -> Knowledge:
        """Return what the suite knows now: one consistent snapshot."""
        words = {"suite_id": self._suite_id}
        with self._lock:
            return self._link.ask(lambda connection: fetch(connection, "what_a_suite_knows", Knowledge, words)[0])

    def _keep(self, change: str, **values: Any) -> None:
        words = {key: _storable(value) for key, value in values.items()} | {"suite_id": self._suite_id}
        with self._lock:
            self._link.ask(lambda connection: connection.execute(change, words))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._link.close()


def _storable(value: Any) -> Any:
    """Return a value without what Postgres text cannot hold: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    return [_storable(one) for one in value] if isinstance(value, list) else value
