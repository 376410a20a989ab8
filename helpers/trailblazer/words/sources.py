"""What is there to choose from at the moment of completing: dispatches, runs, scenarios, providers, files."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from trailblazer.paths import CONFIG_NAME, find_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE = Path(__file__).parent.parent
_MOST = 500  # names; more than that no screen shows
EMBEDDERS = ("local", "minilm", "openai")


def values_of(action: argparse.Action, prefix: str) -> list[str]:
    """Return the values of a flag or a positional word that begin with a prefix, the newest dispatches first.

    Where a folder cannot be read there is nothing to choose from. Nothing is loaded for it: no YAML, no database.
    """
    source = _SOURCES.get(str(action.metavar or "")) or _SOURCES.get(action.dest)
    try:
        return [] if source is None else source(prefix)
    except OSError:
        return []


def _var() -> Path:
    """Return the folder of all state, as the configuration file or the environment names it."""
    here = Path.cwd()
    root = find_root(here)
    said = os.environ.get("TRAILBLAZER_PATHS_VAR")
    if root is not None and not said:
        found = re.search(r"^  var:\s*[\"']?([^\s\"'#]+)", (root / CONFIG_NAME).read_text("utf-8"), re.MULTILINE)
        said = found[1] if found else None
    return (root or here) / Path(said or "var").expanduser()


def _names(folder: Path, prefix: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(prefix) and entry.is_dir()]
    except OSError:
        return []
    return sorted(names)[-_MOST:]


def _dispatches(prefix: str) -> list[str]:
    names = _names(_var() / "logs" / "dispatch", prefix)
    return [*(["latest"] if "latest".startswith(prefix) else []), *(name for name in names[::-1] if name != "latest")]


def _runs(prefix: str) -> list[str]:
    return _names(_var() / "runs", prefix)


def _suites(prefix: str) -> list[str]:
    return _names(_var() / "signals", prefix)


def _scenarios(prefix: str) -> list[str]:
    return [*_names(_PACKAGE / "lanes" / "signals" / "scenarios", prefix), *_folders(prefix)]


def _plans(prefix: str) -> list[str]:
    return [*(word for word in ("latest", "backlog") if word.startswith(prefix)), *_files(prefix)]


def _providers(prefix: str) -> list[str]:
    """Return the shipped agents and those of the configuration; behind a comma comes the next one of a chain."""
    chain, comma, last = prefix.rpartition(",")
    names = re.findall(r"^([\w-]+):", (_PACKAGE / "providers" / "agents.yaml").read_text("utf-8"), re.MULTILINE)
    root = find_root(Path.cwd())
    if root is not None:
        own = re.search(r"^  agents:\n((?:    .*\n|\n)+)", (root / CONFIG_NAME).read_text("utf-8"), re.MULTILINE)
        names += re.findall(r"^    ([\w-]+):", own[1], re.MULTILINE) if own else []
    return [f"{chain}{comma}{name}" for name in names if name.startswith(last) and name not in chain.split(",")]


def _embedders(prefix: str) -> list[str]:
    return [name for name in EMBEDDERS if name.startswith(prefix)]


def _files(prefix: str) -> list[str]:
    """Return the files and folders whose path begins with a prefix; a folder ends with a slash."""
    folder, name = os.path.split(prefix)
    with os.scandir(Path(folder or ".").expanduser()) as entries:
        found = [
            str(Path(folder) / entry.name) + ("/" if entry.is_dir() else "")
            for entry in entries
            if entry.name.startswith(name) and (name or not entry.name.startswith("."))
        ]
    return sorted(found)[:_MOST]


def _folders(prefix: str) -> list[str]:
    return [path for path in _files(prefix) if path.endswith("/")]


# By the word that stands for a value in the help, else by the name of the flag.
_SOURCES: dict[str, Callable[[str], list[str]]] = {
    "DISPATCH": _dispatches,
    "dispatch": _dispatches,
    "RID": _runs,
    "SCENARIO": _scenarios,
    "scenario": _scenarios,
    "SUITE": _suites,
    "suite": _suites,
    "EMBEDDER": _embedders,
    "provider": _providers,
    "names": _providers,
    "plan": _plans,
    "FILE": _files,
    "PATH": _files,
    "DIR": _folders,
    "FOLDER": _folders,
}
