"""The locks hold what pyproject.toml requires, with hashes, and agree with each other."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repo.tree import CHECKOUT

EXTRAS = ("minilm", "apprise", "browser")
LOCKS = {"requirements.lock": "dev", **{f"requirements-{extra}.lock": extra for extra in EXTRAS}}
_PIN = re.compile(r"^(\S+)==(\S+)(?: ; ([^\\]+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def pins_of(lock: str) -> dict[str, set[str]]:
    """Return the versions that a lock pins, by name; there is more than one where Pythons differ."""
    found: dict[str, set[str]] = {}
    for name, version, _, _ in _PIN.findall((CHECKOUT / lock).read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def asked_for(extra: str) -> list[Requirement]:
    """Return what pyproject.toml asks for, with one of its extras and what builds the checkout."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"][extra]]
    return [Requirement(text) for text in wanted]


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_holds_what_is_asked_for(lock: str) -> None:
    """Every requirement is pinned to a version that it allows."""
    pins = pins_of(lock)
    wrong = [
        f"{wanted}: {sorted(pins.get(canonicalize_name(wanted.name), set()))}"
        for wanted in asked_for(LOCKS[lock])
        if not any(version in wanted.specifier for version in pins.get(canonicalize_name(wanted.name), set()))
    ]
    assert [] == wrong


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_hashed(lock: str) -> None:
    """Nothing is in a lock without its hashes, and nothing but pins and their reasons is in it."""
    rest = _PIN.sub("", (CHECKOUT / lock).read_text())
    assert [] == [line for line in rest.splitlines() if not re.match(r"    #|$", line)]


def test_the_locks_agree() -> None:
    """What two locks hold has the same versions, so that an extra can be added to a .venv."""
    for first, second in itertools.combinations(map(pins_of, LOCKS), 2):
        assert {} == {
            name: (first[name], second[name]) for name in first.keys() & second.keys() if first[name] != second[name]
        }


def test_what_builds_the_checkout_is_locked() -> None:
    """The build backend and what it imports are in the lock, since the checkout is built without isolation."""
    build = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["build-system"]["requires"]
    pins = pins_of("requirements.lock")
    assert {"argcomplete", "hatchling"} == {Requirement(text).name for text in build}
    needed = {"argcomplete", "hatchling", "editables", "packaging", "pathspec", "pluggy", "trove-classifiers"}
    assert needed <= pins.keys()


def test_the_stamp_is_not_in_the_repository() -> None:
    """Neither .venv nor its stamp can be committed."""
    assert "/.venv/" in Path(CHECKOUT / ".gitignore").read_text().splitlines()
