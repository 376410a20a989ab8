"""Every number that code and tests name in brackets stands in docs/requirements.md."""

from __future__ import annotations

import re

from repo.tree import CHECKOUT, project_files, shown

REQUIREMENTS = CHECKOUT / "docs" / "requirements.md"
WITH_NUMBERS = ("helpers", "tests", "scripts", "schemas")
_STANDS = re.compile(r"^- \*\*([A-Z]\d+|rule \d+)\*\* \S", re.MULTILINE)
_NAMED = re.compile(r"\b([EBSNPG]\d{1,2})\b")
_RULES = re.compile(r"\b[Rr]ules? (\d+(?:(?:, | and |-)\d+)*)")


def numbers_in(text: str) -> set[str]:
    """Return the requirements that a text names: `(E7, B2)`, `(E1-E3)`, `(rules 4 and 5)`."""
    rules = {number for found in _RULES.findall(text) for number in re.findall(r"\d+", found)}
    return set(_NAMED.findall(text)) | {f"rule {number}" for number in rules}


def test_every_number_resolves() -> None:
    """A number in code, a test, a script or a schema leads to its line in docs/requirements.md."""
    known = set(_STANDS.findall(REQUIREMENTS.read_text()))
    unknown = [
        f"{shown(file)}: {number}"
        for file in project_files()
        if shown(file).split("/")[0] in WITH_NUMBERS and file.suffix in {".py", ".sql", ".sh", ".bats", ".json"}
        for number in sorted(numbers_in(file.read_text()) - known)
    ]
    assert [] == unknown


def test_the_numbers_are_whole() -> None:
    """Each part is numbered without a gap, and no number stands twice."""
    stands = _STANDS.findall(REQUIREMENTS.read_text())
    parts = {"E": range(1, 13), "B": range(1, 9), "S": range(1, 10), "N": range(1, 11), "P": range(1, 7), "G": range(8)}
    wanted = [f"{part}{number}" for part, numbers in parts.items() for number in numbers]
    assert [*wanted, *(f"rule {number}" for number in range(1, 12))] == stands


def test_a_number_is_found_in_each_form() -> None:
    """The reader of brackets knows lists, ranges and rules."""
    assert {"E1", "E3", "B2", "rule 5", "rule 10", "rule 4"} == numbers_in("(E1-E3, B2, rules 5 and 10) Rule 4, (129)")
