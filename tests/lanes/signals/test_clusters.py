"""Cases with equal symptoms become clusters, whatever the order of their answers."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as some

from trailblazer.lanes.signals.answers import Triage
from trailblazer.lanes.signals.clusters import make_clusters
from trailblazer.paths import is_id

ONE = Triage("product", "daemon", "no lock", "high", 0.5)
ORDER = tuple(f"case-{number}" for number in range(20))
TRIAGES = some.dictionaries(
    some.sampled_from([*ORDER, "of another scenario"]),
    some.builds(
        Triage,
        category=some.sampled_from(["product", "test"]),
        component=some.sampled_from(["daemon", "Daemon", "card"]),
        symptom=some.sampled_from(["no lock", "NO  lock", "late"]),
        severity=some.sampled_from(["high", "low"]),
        confidence=some.floats(0, 1),
    ),
)


def test_equal_symptoms_are_a_cluster() -> None:
    """Cases that differ only in case and blanks, or in what is no part of the key, are one cluster."""
    other = dataclasses.replace(ONE, component="DAEMON", symptom=" no  Lock", severity="low", confidence=1.0)
    (cluster,) = make_clusters({"b": other, "a": ONE}, ["a", "b"])
    assert ("cluster-01", "a", ("a", "b")) == (cluster.id, cluster.representative, cluster.members)


def test_equal_words_of_other_parts_are_not() -> None:
    """The same symptom in another component, or of another category, is another cluster."""
    triages = {
        "a": ONE,
        "b": dataclasses.replace(ONE, component="card"),
        "c": dataclasses.replace(ONE, category="test"),
        "d": ONE,
    }
    assert [("a", "d"), ("b",), ("c",)] == [cluster.members for cluster in make_clusters(triages, "abcd")]


def test_no_triage_no_cluster() -> None:
    """Without triages there are no clusters."""
    assert () == make_clusters({}, ORDER)


def test_more_than_99_clusters() -> None:
    """The ids of many clusters go on with three digits."""
    order = [f"case-{number}" for number in range(100)]
    triages = {case_id: dataclasses.replace(ONE, symptom=case_id) for case_id in order}
    assert "cluster-100" == make_clusters(triages, order)[-1].id


@given(TRIAGES, some.randoms())
def test_the_order_of_answers_changes_nothing(triages: dict[str, Triage], chance: object) -> None:
    """The same triages make the same clusters in whatever order they came."""
    shuffled = list(triages.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert make_clusters(triages, ORDER) == make_clusters(dict(shuffled), ORDER)


@given(TRIAGES)
def test_each_case_is_in_one_cluster(triages: dict[str, Triage]) -> None:
    """Each triaged case of the scenario is in one cluster, in the scenario's order, its representative first."""
    clusters = make_clusters(triages, ORDER)
    members = [case_id for cluster in clusters for case_id in cluster.members]
    assert sorted(triages.keys() & set(ORDER)) == sorted(members)
    assert len(clusters) == len({cluster.key for cluster in clusters}) == len({cluster.id for cluster in clusters})
    for cluster in clusters:
        assert is_id(cluster.id)
        assert list(cluster.members) == sorted(cluster.members, key=ORDER.index)
        assert cluster.representative == cluster.members[0]
        assert {cluster.key} == {triages[case_id].key for case_id in cluster.members}
