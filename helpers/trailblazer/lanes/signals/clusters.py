"""Cases with equal symptoms become clusters, the same ones in whatever order the answers came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trailblazer.lanes.signals.answers import ClusterKey


class Keyed(Protocol):
    """What has the key of a cluster: a triage, or what is expected of a case."""

    @property
    def key(self) -> ClusterKey:
        """The key of the case's cluster."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Cases that are taken for one failure. Members are case ids in the scenario's order, the representative first."""

    id: str
    key: ClusterKey
    representative: str
    members: tuple[str, ...]


def make_clusters(triages: Mapping[str, Keyed], order: Sequence[str]) -> tuple[Cluster, ...]:
    """Return the clusters of the cases that were triaged, `order` being the ids of all cases in the scenario's order.

    The clusters are in the order of their representatives, and their ids (`cluster-01`) count them. A case without a
    triage is in no cluster.
    """
    members: dict[ClusterKey, list[str]] = {}
    for case_id in order:
        if case_id in triages:
            members.setdefault(triages[case_id].key, []).append(case_id)
    return tuple(
        Cluster(f"cluster-{number:02d}", key, ids[0], tuple(ids))
        for number, (key, ids) in enumerate(members.items(), start=1)
    )
