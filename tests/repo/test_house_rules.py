"""The house rules that hold for every file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from repo.tree import CHECKOUT, parsed, project_files, python_files, shell_files, shown
from trailblazer.words.grammar import VERBS

# Written in pieces, so that this file does not hold what it looks for.
MACHINE = re.compile("|".join(["/ro" + r"ot\b", "/wo" + "rk/", r"/ho" + r"me/\w", "/Us" + r"ers/\w", "/o" + r"pt/\w"]))
REGISTRY = re.compile(
    "|".join(["py" + r"pi\.org", "python" + "hosted", r"(?<!no-emit-)index" + "-url", "artifact" + "ory"]),
    re.IGNORECASE,
)
SUPPRESSION = re.compile(
    r"#\s*(noqa|type:\s*ignore)(?!:\s*[A-Z]+\d+|\[[a-z-]+)|" + r"#\s*(ruff|mypy):\s*(?:noqa|ignore)"
)
LONGEST = {"helpers": 300, "scripts": 300, "tests": 400, "benchmarks": 300}


def texts() -> list[tuple[Path, str]]:
    """Return every text file of the project with what it holds."""
    found = []
    for file in project_files():
        try:
            found.append((file, file.read_text()))
        except UnicodeDecodeError:
            continue
    return found


def places_of(pattern: re.Pattern[str]) -> list[str]:
    """Return each line of the project that holds the pattern, as file:line: text."""
    return [
        f"{shown(file)}:{number}: {line.strip()[:120]}"
        for file, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_path_of_a_machine() -> None:
    """No file names a folder that only one machine has (N7)."""
    assert [] == [place for place in places_of(MACHINE) if not place.startswith("tests/repo/")]


def test_no_dict_of_parameters() -> None:
    """What a dispatch was asked for is read from a record by its name, never from a dict."""
    assert [] == [place for place in places_of(re.compile(r'how\["|parameters"\]')) if place.startswith("helpers/")]


def test_no_registry() -> None:
    """No file names a package registry: each machine has its own."""
    assert [] == places_of(REGISTRY)


def test_every_suppression_names_its_code() -> None:
    """A comment that silences a linter names the code it silences."""
    assert [] == [place for place in places_of(SUPPRESSION) if ".py:" in place and "/test_house_rules.py" not in place]


@pytest.mark.parametrize("folder", LONGEST)
def test_files_fit_in_one_reading(folder: str) -> None:
    """No Python file is longer than one reading."""
    lengths = {shown(file): len(file.read_text().splitlines()) for file in python_files(folder)}
    assert {} == {name: length for name, length in lengths.items() if length > LONGEST[folder]}


def test_scripts_are_a_page() -> None:
    """No script is longer than a page: it sequences stages and holds no logic."""
    lengths = {shown(file): len(file.read_text().splitlines()) for file in shell_files() if file.suffix in {".sh", ""}}
    assert {} == {name: length for name, length in lengths.items() if length > 70}


@pytest.mark.parametrize("file", [file for file in shell_files() if file.suffix == ".sh"], ids=lambda file: file.name)
def test_scripts_are_strict(file: Path) -> None:
    """A script stops at the first error, pages nothing, and names no variable that zsh keeps for itself (G1)."""
    text = file.read_text()
    if file.parent.name != "lib":
        assert "\nset -euo pipefail\nexport PAGER=cat LESS=-RFX\n" in text
    assert not re.search(r"\b(?:path|status)=(?!\*)", text)
    assert not re.search(r"\btrap\b.*\bEXIT\b", text)


def test_every_verb_has_its_module() -> None:
    """There is one file for each verb and one verb for each file."""
    names = {file.stem for file in python_files("helpers/trailblazer/verbs")} - {"__init__"}
    assert set(VERBS) == names


@pytest.mark.parametrize("file", python_files("helpers"), ids=shown)
def test_every_module_has_one_sentence(file: Path) -> None:
    """A module's docstring begins with the line it has in the tree."""
    docstring = ast.get_docstring(parsed(file)) or ""
    first = docstring.split("\n", 1)[0]
    assert 10 <= len(first) <= 120
    assert "\n\n" in docstring or docstring.count("\n") <= 1


def test_every_test_states_its_behaviour() -> None:
    """Every test has one sentence that says what it holds."""
    silent = []
    for file in python_files("tests"):
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                sentence = ast.get_docstring(node) or ""
                if not sentence.split("\n\n")[0].rstrip().endswith("."):
                    silent.append(f"{shown(file)}:{node.lineno}: {node.name}")
    assert [] == silent


def test_ignored_files_stay_out() -> None:
    """Nothing that a run writes is in the repository."""
    kept = {shown(file).split("/")[0] for file in project_files()}
    assert set() == kept & {"var", ".venv"}
    assert (CHECKOUT / ".gitignore").is_file()


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports test files by their names alone: of two with one name it takes the first."""
    names = [file.name for file in python_files("tests") if file.name.startswith("test_")]
    assert [] == sorted({name for name in names if names.count(name) > 1})
