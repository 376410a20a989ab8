"""docs/states.md says what the database and the journal say, and its pictures say what its tables say."""

from __future__ import annotations

import re

from repo.tree import CHECKOUT
from trailblazer.record.outcomes import Status

RUN, ATTEMPT = re.split(r"^## An attempt$", (CHECKOUT / "docs" / "states.md").read_text(), flags=re.MULTILINE)
MIGRATIONS = CHECKOUT / "helpers" / "trailblazer" / "database" / "migrations"


def states_in(part: str) -> list[str]:
    """Return the states of the first table: rows of a state and its meaning."""
    return re.findall(r"^\| `(\w+)` \| [^`|][^|]*\|$", part, re.MULTILINE)


def transitions_in(part: str) -> list[tuple[str, str]]:
    """Return the transitions of the second table: rows of from, to, and who."""
    return re.findall(r"^\| `(\w+|\[\*\])` \| `(\w+|\[\*\])` \| .+ \|$", part, re.MULTILINE)


def arrows_in(part: str) -> list[tuple[str, str]]:
    """Return the transitions of the picture."""
    return re.findall(r"^    (\w+|\[\*\]) --> (\w+|\[\*\])$", part, re.MULTILINE)


def test_the_states_of_a_run_are_those_of_the_table() -> None:
    """The states of a run are what the newest CHECK on processed_runs.status allows."""
    statements = "".join(file.read_text() for file in sorted(MIGRATIONS.glob("*.sql")))
    newest = re.findall(r"processed_runs_status_known CHECK \(\s*status IN \(([^)]*)\)", statements)[-1]
    assert re.findall(r"'(\w+)'", newest) == states_in(RUN)


def test_a_settled_attempt_has_a_status() -> None:
    """The states in which an attempt is settled are the statuses of an outcome, in their order."""
    settled = re.findall(r"^\| `(\w+)` \| Settled: ", ATTEMPT, re.MULTILINE)
    assert [status.value for status in Status] == settled
    assert ["waiting", "gated", "claimed", "running", "again", "left", *settled] == states_in(ATTEMPT)


def test_the_pictures_show_the_tables() -> None:
    """Each arrow of a picture is a row of its table, once, between states that are explained."""
    for part in (RUN, ATTEMPT):
        arrows = arrows_in(part)
        assert len(arrows) == len(set(arrows))
        assert sorted(arrows) == sorted(transitions_in(part))
        assert set(states_in(part)) | {"[*]"} == {state for arrow in [*arrows, ("[*]", "[*]")] for state in arrow}
