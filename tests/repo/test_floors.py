"""Imports only look down the floors of the house."""

from __future__ import annotations

import graphlib

import pytest

from repo.tree import imports_of, modules, shown

# From the top down; the last floor is the root, whose files are named one by one.
FLOORS: list[set[str]] = [
    {"__main__"},
    {"cli"},
    {"verbs"},
    {"words"},
    {"lanes"},
    {"dispatch"},
    {"reports"},
    {"places"},
    {"record", "pipeline", "providers", "cron", "signals"},
    {"database", "processes"},
    {"__init__", "config", "schemas", "events", "atomic", "errors", "paths", "plain", "streams"},
]
ROOT = {"__init__", "__main__", "cli"} | FLOORS[-1]
# A package that is large or may be replaced is imported in one module.
ALONE = {
    "psycopg": "database.driver",
    "plumbum": "processes.ask",
    "jsonschema": "schemas",
    "jsonschema_rs": "schemas",
    "yaml": "config",
    "rich": "reports.screen",
    "httpx": "pipeline.embedders.service",
    "urllib.request": "cron.ping",
    "argcomplete": "words.completing",
    "cronsim": "cron.lines",
    "apprise": "cron.telling",
    "inotify_simple": "signals.mailbox",
}


def floor_of(module: str) -> int:
    """Return the floor of a module: 0 is the top. A module whose room is on no floor is a mistake."""
    return next(number for number, names in enumerate(FLOORS) if module.split(".")[0] in names)


def neighbours(module: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    known = modules()
    imported = imports_of(known[module])
    wanted = {name.removeprefix("trailblazer.") for name in imported if name.startswith("trailblazer.")}
    return {name for name in wanted if name in known and name != module}


def test_every_room_is_on_a_floor() -> None:
    """The root keeps its twelve files, and every package stands on a floor that has its name."""
    at_root = {module for module in modules() if "." not in module and modules()[module].name != "__init__.py"}
    assert at_root | {"__init__"} == ROOT
    assert set() == {module.split(".")[0] for module in modules()} - set().union(*FLOORS)


@pytest.mark.parametrize("module", sorted(modules()))
def test_imports_look_down(module: str) -> None:
    """A module imports nothing from a floor above its own."""
    upwards = {name for name in neighbours(module) if floor_of(name) < floor_of(module)}
    assert set() == upwards, f"{shown(modules()[module])} looks up to {', '.join(sorted(upwards))}"


def test_no_circles() -> None:
    """No two modules need each other, however far around, nor for their types, nor in a function."""
    try:
        graphlib.TopologicalSorter({module: neighbours(module) for module in modules()}).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(("package", "door"), sorted(ALONE.items()))
def test_one_door(package: str, door: str) -> None:
    """A package that is large or may be replaced is imported in one module."""
    found = {
        module
        for module, file in modules().items()
        if any(name == package or name.startswith(f"{package}.") for name in imports_of(file))
    }
    assert {door} == found


def test_engine_knows_no_embedding() -> None:
    """The engine does not know what an embedding is: it imports no lane, pipeline or database."""
    reached, waiting = set[str](), ["dispatch.engine"]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += neighbours(module)
    assert set() == {name for name in reached if name.split(".")[0] in {"lanes", "pipeline", "database", "verbs"}}
