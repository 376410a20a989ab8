"""Plans: what a line means, in which order, and which plan is chosen (E2, E3)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from trailblazer.errors import PlanUnusable
from trailblazer.lanes.embed.plan import Asked, choose_plan, read_items
from trailblazer.paths import Places, are_ids, is_id

IDS = some.from_regex(re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+=-]{0,20}", re.ASCII), fullmatch=True).filter(is_id)
FORMS = some.sampled_from(
    [
        "{}",
        "{}:12",
        "var/runs/{}",
        "var/runs/{}/",
        "/elsewhere/var/runs/{}",
        "./runs/{}",
        "  {}\t",
        "{} # a comment",
        "{}#",
    ]
)
NOISE = some.sampled_from(["", "   ", "# a comment", "\t# var/runs/../x", "#"])
WRONG = some.one_of(
    some.sampled_from(
        ["..", "a/b", "../a", "var/runs/", "runs/..", "-x", "a..b", "x" * 201, "a b", "é", "a;b", "$(a)"]
    ),
    IDS.map(lambda rid: f"-{rid}"),
    IDS.map(lambda rid: f"{rid}/.."),
    IDS.map(lambda rid: f"var/runs/{rid}/normalize"),
    IDS.map(lambda rid: f"{rid} {rid}"),
    IDS.map(lambda rid: f"{rid}:many"),
)
ENDS = some.sampled_from(["\n", "\r\n"])
of_a_file = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A project of its own."""
    return Places(tmp_path, tmp_path / "var")


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, newline="")
    return file


@of_a_file
@given(
    lines=some.lists(some.one_of(some.tuples(IDS, FORMS), some.tuples(some.just(""), NOISE)), max_size=30),
    end=ENDS,
    mark=some.sampled_from(["", "\ufeff"]),
    is_ended=some.booleans(),
)
def test_each_id_is_there_once_and_in_order(
    tmp_path: Path, lines: list[tuple[str, str]], end: str, mark: str, is_ended: bool
) -> None:
    """E3: whatever form an id has and how often, it is one item; the order is that of the ids; comments are nothing."""
    text = end.join(form.format(rid) for rid, form in lines) + (end if is_ended else "")
    file = _write(tmp_path / "list.txt", mark + text)
    assert sorted({rid for rid, _ in lines if rid}) == read_items(file)


@settings(deadline=None)
@given(some.lists(some.one_of(IDS, WRONG, some.just(""), some.text(max_size=5)), max_size=6))
def test_many_ids_are_judged_as_each_is(lines: list[str]) -> None:
    """E3: a text is taken in one go only when each of its lines is empty or an id."""
    text = "\n".join(lines)
    assert all(not line or is_id(line) for line in text.split("\n")) == are_ids(text)


@of_a_file
@given(before=some.lists(IDS, max_size=5), wrong=WRONG, after=some.lists(IDS, max_size=5))
def test_a_line_that_is_no_id_is_refused_with_its_place(
    tmp_path: Path, before: list[str], wrong: str, after: list[str]
) -> None:
    """E3: a line that could lead out of its folder, or is no id at all, is exit 4 with file and line."""
    file = _write(tmp_path / "list.txt", "\n".join([*before, wrong, *after]))
    with pytest.raises(PlanUnusable) as refused:
        read_items(file)
    assert refused.value.what.startswith(f"{file}:{len(before) + 1}: {wrong!r} is not a run id")


@of_a_file
@given(content=some.binary(max_size=200))
def test_no_file_makes_anything_but_ids(tmp_path: Path, content: bytes) -> None:
    """E3: whatever a file holds, what comes out of it is sorted ids, or it is refused with exit 4."""
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    try:
        items = read_items(file)
    except PlanUnusable as refused:
        assert str(file) in refused.what
    else:
        assert sorted(set(items)) == items
        assert all(is_id(item) for item in items)


@pytest.mark.parametrize("mark", ["\u2028", "\x0b", "\x0c", "\x85", "\x1c", "\r"])
def test_a_line_of_a_plan_ends_at_a_line_feed_only(tmp_path: Path, mark: str) -> None:
    """E3: other separators end no line: between two ids they make one wrong line, at its end they are blank space."""
    assert ["alpha"] == read_items(_write(tmp_path / "list.txt", f"alpha{mark}\n"))
    with pytest.raises(PlanUnusable, match=r":1: .* is not a run id"):
        read_items(_write(tmp_path / "list.txt", f"alpha{mark}bravo\ncharlie\n"))


def test_an_id_that_ends_like_a_count_is_itself_where_it_can_be(tmp_path: Path) -> None:
    """E3: only what follows a colon is a count; digits, dots and dashes belong to the id."""
    file = _write(tmp_path / "list.txt", "2026-01\n2026-01:7\n2026.01\n20:1\nvar/runs/a:3\n")
    assert ["20", "2026-01", "2026.01", "a"] == read_items(file)


@pytest.mark.parametrize("kind", ["missing", "folder", "latin", "empty", "comments only"])
def test_a_named_plan_that_holds_nothing_is_refused(places: Places, kind: str) -> None:
    """E2: a plan that was named and is missing, unreadable or without an item is exit 4, whatever else there is."""
    _write(places.bundles / "20261120T000000Z" / "ready.txt", "good\n")
    _write(places.var / "temp_runs_to_embed.txt", "good\n")
    file = places.root / "named"
    if kind == "folder":
        file.mkdir()
    elif kind == "latin":
        file.write_bytes(b"caf\xe9\n")
    elif kind != "missing":
        file.write_text("" if kind == "empty" else "# nothing\n\n")
    for asked in (Asked(plan=str(file)), Asked(file=file), Asked(bundle=file)):
        with pytest.raises(PlanUnusable) as refused:
            choose_plan(asked, places)
        assert (4, True) == (refused.value.exit_code, bool(refused.value.hint))


def test_the_first_source_that_applies_is_the_plan(places: Places) -> None:
    """E2: the bundle that is named, the file that is named, the newest bundle with a ready.txt, the fallback list."""
    with pytest.raises(PlanUnusable, match="no plan"):
        choose_plan(Asked(), places)
    _write(places.var / "temp_runs_to_embed.txt", "fallback\n")
    assert ["fallback"] == choose_plan(Asked(), places).items
    with pytest.raises(PlanUnusable, match="no plan"):
        choose_plan(Asked(plan="latest"), places)
    _write(places.bundles / "20261119T235959Z" / "ready.txt", "older\n")
    _write(places.bundles / "20261120_000000" / "ready.txt", "newest\n")
    _write(places.bundles / "20261121T000000Z" / "blocked.txt", "no-ready\n")
    _write(places.bundles / "zzz" / "ready.txt", "no-moment\n")
    for asked in (Asked(), Asked(plan="latest")):
        chosen = choose_plan(asked, places)
        assert (["newest"], places.bundles / "20261120_000000") == (chosen.items, chosen.bundle)
    named, older = _write(places.root / "list.txt", "b\na\n"), places.bundles / "20261119T235959Z"
    assert (["a", "b"], None) == (
        choose_plan(Asked(file=named), places).items,
        choose_plan(Asked(file=named), places).bundle,
    )
    assert ["older"] == choose_plan(Asked(bundle=older, file=named), places).items
    assert ["z", "a"] == choose_plan(Asked(waiting=["z", "a"]), places).items
