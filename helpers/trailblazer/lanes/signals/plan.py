"""The plan of a suite: the triage of every case, and then one case of each cluster that came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trailblazer.atomic import write_lines
from trailblazer.dispatch.queue import GivenPlan
from trailblazer.errors import DocumentInvalid
from trailblazer.lanes.signals.answers import (
    INVESTIGATE,
    TRIAGE,
    Investigation,
    Triage,
    read_investigation,
    read_triage,
)
from trailblazer.lanes.signals.clusters import Cluster, make_clusters
from trailblazer.lanes.signals.scenario import Scenario
from trailblazer.record.folder import Record
from trailblazer.record.outcomes import GOOD, Item
from trailblazer.schemas import as_record, read_lines
from trailblazer.signals.artifacts import Artifact, read_artifact

CLUSTERS = "clusters.ndjson"
ARTIFACT = "artifact.json"


@dataclass(frozen=True, slots=True)
class Case:
    """What one signal is about: a case at a step, and with `investigate` the cluster that it stands for."""

    case_id: str
    step: str
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A line of clusters.ndjson: a cluster whose representative is, or will be, investigated."""

    id: str
    representative: str
    members: tuple[str, ...]


def read_chosen(folder: Path) -> Iterator[Chosen]:
    """Yield the clusters that a dispatch has chosen so far, in the order of their items."""
    file = folder / CLUSTERS
    if file.is_file():
        yield from (as_record(Chosen, line) for line in read_lines(file))


class SignalsPlan(GivenPlan):
    """Hands out the triage of each case. When all of them have an outcome it grows by an item for each cluster.

    A resume tries again what failed. A cluster that was chosen keeps its representative: cases that are triaged later
    join it, or make clusters of their own. `keep` is told of every cluster that was chosen, before its item starts.
    """

    def __init__(self, record: Record, scenario: Scenario, keep: Callable[[Cluster], None]) -> None:
        self._record, self._scenario, self._keep = record, scenario, keep
        self._triages = [
            Item(index, f"{case.id}.{TRIAGE}", Case(case.id, TRIAGE), TRIAGE)
            for index, case in enumerate(scenario.cases)
        ]

    def items(self) -> Iterator[Item]:
        """Yield the triage items, and those of the clusters that are known so far."""
        yield from self._triages
        yield from self._investigations()

    def turns(self) -> Iterator[Item | None]:
        """Yield the items in the order in which they start; None while a triage may still change the clusters."""
        waiting: dict[int, int] = {}
        for item in self._triages:
            if self._record.is_due(item.index):
                waiting[item.index] = self._record.standing.place_of(item.index)
                yield item
        while any(self._record.standing.place_of(index) == place for index, place in waiting.items()):
            yield None
        if all(self._is_triaged(item.index) for item in self._triages):
            self._grow()
        yield from self._investigations()

    def _is_triaged(self, index: int) -> bool:
        """Say whether nobody waits for a triage: it is good, or it failed in this process."""
        return self._record.has_good_result(index) or self._record.is_due(index)

    def _grow(self) -> None:
        """Choose clusters for the cases that were triaged, and let the plan grow by those that are new."""
        found = make_clusters(self.triages(), self._scenario.order)
        chosen: list[Chosen] = []
        known = list(read_chosen(self._record.folder))
        for one in known:
            now = next((cluster for cluster in found if one.representative in cluster.members), None)
            chosen.append(Chosen(one.id, one.representative, now.members if now is not None else one.members))
        taken = {one.representative for one in known}
        for cluster in found:
            if not taken & set(cluster.members):
                chosen.append(Chosen(f"cluster-{len(chosen) + 1:02d}", cluster.representative, cluster.members))
        write_lines(self._record.folder / CLUSTERS, map(dataclasses.asdict, chosen))
        self._record.grow(len(self._triages) + len(chosen))
        for cluster in self.chosen():
            self._keep(cluster)

    def _investigations(self) -> Iterator[Item]:
        triages = self.triages()
        for place, one in enumerate(read_chosen(self._record.folder)):
            key = triages[one.representative].key
            cluster = Cluster(one.id, key, one.representative, one.members)
            case = Case(one.representative, INVESTIGATE, cluster)
            yield Item(len(self._triages) + place, f"{one.representative}.{INVESTIGATE}", case, INVESTIGATE)

    # -- what came of it --------------------------------------------------------------------------------------

    def triages(self) -> dict[str, Triage]:
        """Return the triage of each case that has one, by its id."""
        found = ((item.body.case_id, self._artifact(item)) for item in self._triages)
        return {case_id: read_triage(artifact.data) for case_id, artifact in found if artifact is not None}

    def chosen(self) -> tuple[Cluster, ...]:
        """Return the clusters that were chosen."""
        return tuple(item.body.cluster for item in self._investigations())

    def investigations(self) -> dict[str, Investigation]:
        """Return what was found out about each cluster, by the case that was investigated."""
        found = ((item.body.case_id, self._artifact(item)) for item in self._investigations())
        return {case_id: read_investigation(artifact.data) for case_id, artifact in found if artifact is not None}

    def _artifact(self, item: Item) -> Artifact | None:
        """Return the accepted artifact of an item with a good result."""
        standing = self._record.standing
        if item.index >= standing.planned or standing.of(item.index) not in GOOD:
            return None
        folder = self._record.attempt_folder(item.index, standing.attempt_of(item.index))
        return accepted(Path(folder))


def accepted(folder: Path) -> Artifact:
    """Return the artifact that was accepted in an attempt; one that is gone or changed is DocumentInvalid."""
    found = read_artifact(folder / ARTIFACT, None)
    if not isinstance(found, Artifact):
        why = found.reason if found is not None else "it is not there"
        raise DocumentInvalid(f"cannot read {folder / ARTIFACT}: {why}", "Somebody changed the dispatch folder.")
    return found
