"""A scenario is read whole, or refused with all of its mistakes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lanes.signals.scenarios import DOCUMENT, case_document, write_scenario
from repo.tree import CHECKOUT
from trailblazer.errors import DocumentInvalid, PlanUnusable
from trailblazer.lanes.signals.answers import (
    INVESTIGATE,
    TRIAGE,
    Investigation,
    Triage,
    read_investigation,
    read_triage,
)
from trailblazer.lanes.signals.metrics import METRICS
from trailblazer.lanes.signals.scenario import Prices, Symptom, read_scenario, shipped_scenarios
from trailblazer.lanes.signals.stub import stub_answer

GUIDE = CHECKOUT / "docs" / "scenarios.md"


def mistakes_of(folder: Path) -> list[str]:
    """Return the mistakes with which a scenario is refused, without the folder and the last line, which is the hint."""
    with pytest.raises(DocumentInvalid) as refused:
        read_scenario(str(folder))
    return [line.replace(f"{folder}/", "") for line in [refused.value.what, *refused.value.hint.splitlines()[:-1]]]


@pytest.mark.parametrize(("name", "cases", "clusters"), [("ptp-mock", 12, 5), ("ptp-mock-30", 30, 9)])
def test_shipped_scenarios(name: str, cases: int, clusters: int) -> None:
    """The shipped scenarios have 12 cases in 5 clusters and 30 cases in 9 (S5)."""
    assert f"{name}: {cases} cases, {clusters} clusters expected" == read_scenario(name).headline()


def test_the_names_of_the_shipped_scenarios() -> None:
    """Every folder that is shipped is a scenario of its own name."""
    assert ("ptp-mock", "ptp-mock-30") == shipped_scenarios()
    assert ["ptp-mock", "ptp-mock-30"] == [read_scenario(name).name for name in shipped_scenarios()]


def test_errors_that_look_alike() -> None:
    """The larger scenario has errors that differ only in their numbers, and three causes for them."""
    causes: dict[str, set[str]] = {}
    for case in read_scenario("ptp-mock-30").cases:
        causes.setdefault(re.sub(r"[\d,]+", "N", case.error), set()).add(case.expected.root_cause)
    assert 3 == max(map(len, causes.values()))


@pytest.mark.parametrize("name", shipped_scenarios())
def test_a_cluster_of_one(name: str) -> None:
    """A shipped scenario has a case that no other is like."""
    assert 1 in [len(cluster.members) for cluster in read_scenario(name).expected_clusters()]


@pytest.mark.parametrize("name", shipped_scenarios())
@pytest.mark.parametrize(("step", "read"), [(TRIAGE, read_triage), (INVESTIGATE, read_investigation)])
def test_the_stub_answers_well(name: str, step: str, read: Callable[[Any], Triage | Investigation]) -> None:
    """What the stub answers keeps the schema of its step."""
    scenario = read_scenario(name)
    assert {0.95} == {read(stub_answer(scenario, step, case_id)).confidence for case_id in scenario.order}


def test_a_scenario_of_ones_own(tmp_path: Path) -> None:
    """A folder and its scenario.yaml name the same scenario, with its cases in the order of their files."""
    document = DOCUMENT | {
        "components": ["daemon"],
        "symptoms": [{"name": "no lock", "description": "FREERUN"}],
        "thresholds": {"coverage": 0.5},
        "prices": {"prompt": 3, "artifact": 15},
    }
    folder = write_scenario(tmp_path / "own", {"b": case_document(), "a": case_document(id="first")}, document)
    scenario = read_scenario(str(folder))
    assert scenario == read_scenario(str(folder / "scenario.yaml"))
    assert ("first", "b") == scenario.order
    assert {"coverage": 0.5} == scenario.thresholds
    assert (Symptom("no lock", "FREERUN"),) == scenario.case("b").choices.symptoms
    assert Prices(3, 15) == scenario.prices


def test_prices_are_for_a_million_tokens() -> None:
    """A million tokens of prompts and half a million of artifacts cost what the scenario says."""
    assert 10.5 == Prices(3, 15).cost(1_000_000, 500_000)


def test_a_case_that_is_not_there(tmp_path: Path) -> None:
    """A case that the scenario has no more is refused."""
    scenario = read_scenario(str(write_scenario(tmp_path / "own", {"a": case_document()})))
    with pytest.raises(DocumentInvalid, match="the scenario small has no case 'z'"):
        scenario.case("z")


@pytest.mark.parametrize("name", ["ptp", "no/such/folder", "", "x" * 5000, "nul\0", "~nobody-has-this-name"])
def test_an_unknown_scenario(name: str) -> None:
    """A name that is no scenario is refused with exit code 4, and the shipped names."""
    with pytest.raises(PlanUnusable) as refused:
        read_scenario(name)
    assert 4 == refused.value.exit_code
    assert "Shipped: ptp-mock, ptp-mock-30." in refused.value.hint


def test_all_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    """Each mistake of each file is shown, with its file and line."""
    cases: dict[str, Mapping[str, Any] | str] = {
        "a": "name: a\nerror: e\nlog: l\nexpected:\n  category: prodct\n",
        "b": case_document(id="../up"),
        "c": case_document(expected={"evidence": ["port is down", "invented"], "component": "other"}),
        "d": case_document(expected={"root_cause_words": ["never", "|"], "symptom": "third"}),
        "e": case_document(expected={"root_cause": "Nobody retries."}),
        "f": case_document(id="B-2") | {"nmae": 1},
        "g": case_document(id="b-3"),
        "h": case_document(id="B-3"),
    }
    document = "name: a b\ndescription: d\ncomponents: [daemon]\nthresholds: {coverage: .nan,\n  symptom_recal: 1}\n"
    assert [
        "scenario.yaml:1: $.name: 'a b' is no name: use letters, digits and . _ -",
        "scenario.yaml:4: $.thresholds.coverage: nan is no threshold",
        "scenario.yaml:5: $.thresholds.symptom_recal: symptom_recal is no metric; did you mean symptom_recall?",
        *(
            f"cases/a.yaml:4: $.expected: '{name}' is a required property"
            for name in ("component", "symptom", "severity", "root_cause", "evidence")
        ),
        "cases/a.yaml:5: $.expected.category: 'prodct' is not one of "
        "['product', 'test', 'configuration', 'environment', 'unknown']",
        "cases/b.yaml:8: $.id: '../up' is no id: use letters, digits and . _ @ + = -",
        "cases/c.yaml:10: $.expected.component: 'other' is not among the components of scenario.yaml",
        "cases/c.yaml:18: $.expected.evidence[1]: 'invented' stands neither in the error nor in the log",
        "cases/d.yaml:14: $.expected.root_cause_words: the root cause itself does not hold all of them",
        "cases/e.yaml:8: $.expected: another case has the same category, component and symptom, but not its root cause",
        "cases/f.yaml:1: $: Additional properties are not allowed ('nmae' was unexpected)",
        "cases/h.yaml:8: $.id: the id B-3 is there twice: g.yaml has it too",
    ] == mistakes_of(write_scenario(tmp_path / "s", cases, document))


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "1: $: None is not of type 'object'"),
        ("name: [\n", "2: not YAML: expected the node content, but found '<stream end>'"),
        ("name: a\nname: b\n", "2: not plain YAML: $.name is there twice"),
        ("name: &x [a]\nerror: *x\n", "2: not plain YAML: an alias does not belong here"),
        ("name: a\n? [b]\n: c\n", "2: not plain YAML: a key must be text"),
        ("- " * 300 + "a", "1: not YAML: it is nested more than 100 deep"),
        ("- []\n" * 10_001, "10001: not YAML: it has too many parts"),
        ("x:\n  !!python/object:os.system ls\n", "2: not plain YAML: could not determine a constructor for the tag"),
        ("a: " + "9" * 5000, " not plain YAML: Exceeds the limit (4300 digits)"),
        (f"a: {'x' * (1 << 20)}\n", " it is too large: 1048580 bytes, at most 1048576 are read"),
        ("a: \x00\n", " not YAML: "),
    ],
    ids=["empty", "cut off", "twice", "alias", "no text as key", "nested", "parts", "tag", "digits", "large", "NUL"],
)
def test_a_file_that_is_not_plain_yaml(tmp_path: Path, text: str, mistake: str) -> None:
    """A file that is not plain YAML is one mistake, and the other files are read all the same."""
    folder = write_scenario(tmp_path / "s", {"a": text, "b": case_document(id="/")})
    first, second = mistakes_of(folder)
    assert mistake in first
    assert second.startswith("cases/b.yaml:8: $.id: '/' is no id")


def test_half_a_character_and_codes_of_a_terminal_are_made_plain(tmp_path: Path) -> None:
    """What a terminal, a file or a database does not take is made visible in the texts of a case."""
    log = '"\\e[31mport is down\\ud800\\0"'
    text = f"name: a\nerror: e\nlog: {log}\nexpected: {case_document()['expected']}\n"
    case = read_scenario(str(write_scenario(tmp_path / "s", {"a": text}))).case("a")
    assert "^[[31mport is down<U+D800>^@" == case.log


def test_a_pipe_and_a_link_as_cases(tmp_path: Path) -> None:
    """A pipe, a folder and a link are mistakes; nothing waits for them or follows them."""
    folder = write_scenario(tmp_path / "s", {"a": case_document()})
    (tmp_path / "outside.yaml").write_text("secret: 1\n")
    os.mkfifo(folder / "cases" / "b.yaml")
    (folder / "cases" / "c.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "cases" / "d.yaml").mkdir()
    assert [
        "cannot read cases/b.yaml: it is no regular file",
        "cannot read cases/c.yaml: it is a link",
        "cannot read cases/d.yaml: it is no regular file",
    ] == mistakes_of(folder)


def test_a_folder_of_cases_that_leads_elsewhere(tmp_path: Path) -> None:
    """A link in the place of cases/ is refused when it leads out of the scenario."""
    folder = write_scenario(tmp_path / "s", {"a": case_document()})
    (folder / "cases").rename(tmp_path / "elsewhere")
    (folder / "cases").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlanUnusable, match="leads out of the scenario"):
        read_scenario(str(folder))


def test_a_document_that_is_a_pipe(tmp_path: Path) -> None:
    """A pipe in the place of scenario.yaml is a mistake, and nothing waits for it."""
    folder = write_scenario(tmp_path / "s", {"a": case_document()})
    (folder / "scenario.yaml").unlink()
    os.mkfifo(folder / "scenario.yaml")
    assert ["cannot read scenario.yaml: it is no regular file"] == mistakes_of(folder)


def test_a_scenario_without_cases(tmp_path: Path) -> None:
    """A scenario without a case is refused with exit code 4; other files and hidden ones are no cases."""
    folder = write_scenario(tmp_path / "s", {})
    (folder / "cases" / "README.md").touch()
    (folder / "cases" / ".a.yaml").touch()
    with pytest.raises(PlanUnusable, match="has 0 cases"):
        read_scenario(str(folder))


def test_too_many_cases(tmp_path: Path) -> None:
    """A folder with more than a thousand cases is refused before one of them is read."""
    folder = write_scenario(tmp_path / "s", {f"c{number}": "" for number in range(1001)})
    with pytest.raises(PlanUnusable, match="has 1,001 cases"):
        read_scenario(str(folder))


def test_cases_that_are_too_large_together(tmp_path: Path) -> None:
    """Cases of more than 16 MiB in all are refused before one of them is read."""
    folder = write_scenario(tmp_path / "s", {})
    for number in range(17):
        with (folder / "cases" / f"{number}.yaml").open("wb") as file:
            file.truncate((1 << 20) + 1)
    with pytest.raises(PlanUnusable, match="has 17,825,809 bytes of cases"):
        read_scenario(str(folder))


def test_a_name_with_a_newline(tmp_path: Path) -> None:
    """A file whose name has a newline is shown on one line."""
    folder = write_scenario(tmp_path / "s", {"a\nb": case_document()})
    assert ["cases/a b.yaml:1: $.id: 'a b' is no id: use letters, digits and . _ @ + = -"] == mistakes_of(folder)


def test_many_mistakes_are_cut(tmp_path: Path) -> None:
    """Fifty mistakes are shown, and the others are counted."""
    folder = write_scenario(tmp_path / "s", {f"c{number}": "" for number in range(60)})
    found = mistakes_of(folder)
    assert (51, "and 10 more mistakes") == (len(found), found[-1])


def test_the_scenario_of_the_guide(tmp_path: Path) -> None:
    """The scenario in docs/scenarios.md is good when it is typed as it stands there."""
    for name, text in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert "doors: 1 case, 1 cluster expected" == read_scenario(str(tmp_path)).headline()


def test_the_metrics_of_the_guide() -> None:
    """The table in docs/scenarios.md has every metric with its default threshold and its meaning."""
    rows = re.findall(r"^\| `(\w+)` \| at (least|most) (\S+) \| (.*) \|$", GUIDE.read_text(), re.MULTILINE)
    assert [
        (kind.name, "least" if kind.is_at_least else "most", f"{kind.threshold:,}", kind.meaning) for kind in METRICS
    ] == rows
