"""A scenario: failed tests whose causes are known, read from a folder that people write by hand."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.errors import ConfigWrong, DocumentInvalid, PlanUnusable
from trailblazer.lanes.signals.answers import ClusterKey, make_key, normalised
from trailblazer.lanes.signals.clusters import Cluster, make_clusters
from trailblazer.lanes.signals.lined_yaml import LinedYaml, read_lined_yaml
from trailblazer.lanes.signals.metrics import NAMES
from trailblazer.paths import is_id
from trailblazer.plain import counted, one_line, plain

SHIPPED = Path(__file__).parent / "scenarios"
DOCUMENT, CASES = "scenario.yaml", "cases"
MOST_CASES = 1000
MOST_BYTES = 1 << 20  # in one file
MOST_BYTES_IN_ALL = 16 << 20
MOST_MISTAKES = 50  # that are shown
_ENDINGS = {".yaml", ".yml"}
_HINT = "Schemas: schemas/scenario.schema.json and schemas/scenario_case.schema.json"


@dataclass(frozen=True, slots=True)
class Symptom:
    """A symptom that is known beforehand, and how it is recognised."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """What an answer chooses from; nothing where an agent finds its own words."""

    components: tuple[str, ...] = ()
    symptoms: tuple[Symptom, ...] = ()


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost, in US dollars."""

    prompt: float = 0.0
    artifact: float = 0.0

    def cost(self, prompt_tokens: int, artifact_tokens: int) -> float:
        """Return what tokens cost, in US dollars."""
        return (self.prompt * prompt_tokens + self.artifact * artifact_tokens) / 1_000_000


@dataclass(frozen=True, slots=True)
class Expected:
    """The right answers for one case.

    An answered root cause is right when it holds all of `root_cause_words`; `a|b` is either. Without them it must be
    the same text.
    """

    category: str
    component: str
    symptom: str
    severity: str
    root_cause: str
    evidence: tuple[str, ...]
    root_cause_words: tuple[str, ...] = ()

    @property
    def key(self) -> ClusterKey:
        """The key of the cluster in which the case belongs."""
        return make_key(self.category, self.component, self.symptom)

    def has_cause(self, answered: str) -> bool:
        """Say whether an answered root cause is the right one."""
        is_same = normalised(answered) == normalised(self.root_cause)
        return is_same or (bool(self.root_cause_words) and self.has_words(answered))

    def has_words(self, text: str) -> bool:
        """Say whether a text holds all of the words of the root cause."""
        said = normalised(text)
        alternatives = [list(filter(None, map(normalised, words.split("|")))) for words in self.root_cause_words]
        return all(any(word in said for word in words) for words in alternatives)


@dataclass(frozen=True, slots=True)
class Case:
    """One failed test: what an agent is given, and what it is expected to answer. Its texts are plain."""

    id: str
    name: str
    error: str
    log: str
    expected: Expected
    choices: Choices = Choices()

    @property
    def text(self) -> str:
        """The error and the log, in the form in which texts are compared: a quote from the case is a part of it."""
        return normalised(f"{self.error}\n{self.log}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Cases in the order of their files, and how their answers are judged."""

    name: str
    description: str
    folder: Path
    cases: tuple[Case, ...]
    choices: Choices = Choices()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    prices: Prices = Prices()

    @property
    def order(self) -> tuple[str, ...]:
        """The ids of the cases in their order."""
        return tuple(case.id for case in self.cases)

    def case(self, case_id: str) -> Case:
        """Return a case by its id; DocumentInvalid when there is none."""
        for case in self.cases:
            if case.id == case_id:
                return case
        raise DocumentInvalid(f"the scenario {self.name} has no case {one_line(case_id, 100)!r}", "Did it change?")

    def expected_clusters(self) -> tuple[Cluster, ...]:
        """Return the clusters that right answers make."""
        return make_clusters({case.id: case.expected for case in self.cases}, self.order)

    def headline(self) -> str:
        """Return one line on what the scenario holds."""
        clusters = counted(len(self.expected_clusters()), "cluster")
        return f"{self.name}: {counted(len(self.cases), 'case')}, {clusters} expected"


def shipped_scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios that come with trailblazer."""
    return tuple(sorted(folder.name for folder in SHIPPED.iterdir() if (folder / DOCUMENT).is_file()))


def read_scenario(name_or_path: str) -> Scenario:
    """Return a shipped scenario by its name, or one of a user by its folder or its scenario.yaml.

    A scenario that is not there, or has no cases, is PlanUnusable (exit 4). All mistakes in its files are one
    DocumentInvalid (exit 3), each with its file and line.
    """
    folder = _folder_of(name_or_path)
    mistakes: list[str] = []
    document = _read(folder / DOCUMENT, "scenario", mistakes)
    choices = _choices(document.value) if document else Choices()
    if document:
        mistakes += _wrong_in_document(document, folder / DOCUMENT)
    cases = tuple(_read_cases(folder, choices, mistakes))
    if mistakes or document is None:
        more = [f"and {counted(len(mistakes) - MOST_MISTAKES, 'more mistake')}"] * (len(mistakes) > MOST_MISTAKES)
        raise DocumentInvalid(mistakes[0], "\n".join([*mistakes[1:MOST_MISTAKES], *more, _HINT]))
    value = document.value
    return Scenario(
        name=value["name"],
        description=plain(value["description"]).strip(),
        folder=folder,
        cases=cases,
        choices=choices,
        thresholds=value.get("thresholds", {}),
        prices=Prices(**value.get("prices", {})),
    )


def _folder_of(name_or_path: str) -> Path:
    if name_or_path in shipped_scenarios():
        return SHIPPED / name_or_path
    try:
        found = Path(name_or_path)
        folder = found.parent if found.name == DOCUMENT else found
        if os.path.lexists(folder / DOCUMENT):  # what is not a regular file is one of its mistakes
            return folder
    except (OSError, ValueError, RuntimeError):  # a name with NUL or of a thousand letters, a home of nobody
        pass
    hint = f"Shipped: {', '.join(shipped_scenarios())}. A scenario of your own is a folder with {DOCUMENT} in it."
    raise PlanUnusable(f"there is no scenario {one_line(name_or_path, 200)!r}", hint)


def _read(file: Path, schema: str, mistakes: list[str]) -> LinedYaml | None:
    """Return a document that keeps its schema, or None; what is wrong with it is added to the mistakes."""
    try:
        document = read_lined_yaml(file, MOST_BYTES)
    except ConfigWrong as trouble:
        mistakes.append(one_line(trouble.what))
        return None
    violations = schemas.violations_in(schema)(document.value)
    mistakes += [_at(document, file, *violation.split(": ", 1)) for violation in violations]
    return None if violations else document


def _at(document: LinedYaml, file: Path, place: str, message: str) -> str:
    return f"{one_line(str(file))}:{document.line_of(place)}: {place}: {message}"


def _choices(value: Mapping[str, Any]) -> Choices:
    symptoms = [
        Symptom(one_line(entry["name"]), plain(entry.get("description", ""))) for entry in value.get("symptoms", ())
    ]
    return Choices(tuple(map(one_line, value.get("components", ()))), tuple(symptoms))


def _wrong_in_document(document: LinedYaml, file: Path) -> Iterator[str]:
    """Yield what the schema of scenario.yaml cannot say."""
    if not is_id(document.value["name"]):
        yield _at(document, file, "$.name", f"{document.value['name']!r} is no name: use letters, digits and . _ -")
    for name, threshold in document.value.get("thresholds", {}).items():
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.5)
            known = f"did you mean {near[0]}?" if near else f"there are: {', '.join(NAMES)}"
            yield _at(document, file, f"$.thresholds.{name}", f"{one_line(name, 60)} is no metric; {known}")
        elif not isfinite(threshold):
            yield _at(document, file, f"$.thresholds.{name}", f"{threshold} is no threshold")


def _read_cases(folder: Path, choices: Choices, mistakes: list[str]) -> Iterator[Case]:
    """Yield the cases of a scenario in the order of their files; what is wrong is added to the mistakes."""
    seen: dict[str, str] = {}
    causes: dict[ClusterKey, str] = {}
    for file in _case_files(folder):
        document = _read(file, "scenario_case", mistakes)
        if document is None:
            continue
        case = _case_of(document.value, file, choices)
        found = list(_wrong_in_case(case))
        if case.id.casefold() in seen:
            found.append(("$.id", f"the id {case.id} is there twice: {seen[case.id.casefold()]} has it too"))
        if causes.setdefault(case.expected.key, case.expected.root_cause) != case.expected.root_cause:
            found.append(
                ("$.expected", "another case has the same category, component and symptom, but not its root cause")
            )
        seen.setdefault(case.id.casefold(), one_line(file.name, 100))
        mistakes += [_at(document, file, place, wrong) for place, wrong in found]
        yield case


def _case_files(folder: Path) -> list[Path]:
    """Return the files of the cases, sorted by name; PlanUnusable when there is none, or too many."""
    try:
        entries = (folder / CASES).iterdir()
        files = sorted(file for file in entries if file.suffix in _ENDINGS and not file.name.startswith("."))
        size = sum(file.lstat().st_size for file in files)
        is_outside = not (folder / CASES).resolve().is_relative_to(folder.resolve())
    except OSError as error:
        raise PlanUnusable(f"cannot read {folder / CASES}: {error.strerror}", "A case is cases/ID.yaml.") from error
    if is_outside:
        raise PlanUnusable(f"{folder / CASES} leads out of the scenario", "Make it a folder.")
    if size > MOST_BYTES_IN_ALL:
        raise PlanUnusable(f"{folder / CASES} has {size:,} bytes of cases", f"At most {MOST_BYTES_IN_ALL:,} are read.")
    if not files or len(files) > MOST_CASES:
        raise PlanUnusable(
            f"{folder / CASES} has {counted(len(files), 'case')}", f"A scenario has 1 to {MOST_CASES:,}."
        )
    return files


def _case_of(value: Mapping[str, Any], file: Path, choices: Choices) -> Case:
    said = value["expected"]
    expected = Expected(
        category=said["category"],
        component=one_line(said["component"]),
        symptom=one_line(said["symptom"]),
        severity=said["severity"],
        root_cause=plain(said["root_cause"]).strip(),
        evidence=tuple(plain(quote).strip() for quote in said["evidence"]),
        root_cause_words=tuple(said.get("root_cause_words", ())),
    )
    name = one_line(value["name"])
    return Case(value.get("id", file.stem), name, plain(value["error"]), plain(value["log"]), expected, choices)


def _wrong_in_case(case: Case) -> Iterator[tuple[str, str]]:
    """Yield what the schema of a case cannot say, as places and messages."""
    if not is_id(case.id):
        yield "$.id", f"{one_line(case.id, 100)!r} is no id: use letters, digits and . _ @ + = -"
    if case.choices.components and case.expected.component not in case.choices.components:
        yield "$.expected.component", f"{case.expected.component!r} is not among the components of {DOCUMENT}"
    text = case.text
    for number, quote in enumerate(case.expected.evidence):
        if normalised(quote) not in text:
            yield (
                f"$.expected.evidence[{number}]",
                f"{one_line(quote, 80)!r} stands neither in the error nor in the log",
            )
    if not case.expected.has_words(case.expected.root_cause):
        yield "$.expected.root_cause_words", "the root cause itself does not hold all of them"
