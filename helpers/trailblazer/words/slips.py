"""Misspelt switches: a bare word that is close to a switch, and names nothing."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path

from trailblazer.errors import Trouble, WordsWrong
from trailblazer.paths import expanded
from trailblazer.words.grammar import near_switches

_IsName = Callable[[str, argparse.Namespace], bool]


def refuse_slips(words: list[str], parser: argparse.ArgumentParser, said: argparse.Namespace) -> None:
    """Refuse the words of a verb when one of them is a misspelt switch (exit 2). What exists is never refused.

    Only a word that is close to a switch is looked up: in the folder, the table of runs, the tracker that was `said`.
    """
    for word, place, near in near_switches(words, parser):
        is_name = _NAMED.get(str(place.metavar or "")) or _NAMED.get(place.dest)
        if is_name is not None and not _is_there(is_name, word, said):
            raise WordsWrong(f"{word!r} is no switch, and names nothing", f"Did you mean {near}? A name goes after --.")


def _is_there(is_name: _IsName, word: str, said: argparse.Namespace) -> bool:
    with contextlib.suppress(Trouble):  # what cannot be asked knows no name; the verb would say so
        return is_name(word, said)
    return False


def _is_path(word: str, _said: argparse.Namespace) -> bool:
    return word == "latest" or Path(expanded(word)).exists()


def _is_dispatch(word: str, _said: argparse.Namespace) -> bool:
    from trailblazer.config import load_config
    from trailblazer.record.folder import find_folder

    find_folder(load_config().places, word)
    return True


def _is_run(word: str, _said: argparse.Namespace) -> bool:
    from trailblazer.config import load_config
    from trailblazer.database import backlog
    from trailblazer.database.connection import answering, connect

    config = load_config()
    if config.places.run(word).is_dir():
        return True
    with answering(), connect(config) as connection:
        return backlog.show_run(connection, word) is not None


def _is_issue(word: str, said: argparse.Namespace) -> bool:
    from trailblazer.config import load_config
    from trailblazer.lanes.issues.opening import open_tracker

    listing = open_tracker(load_config({"tracker.source": said.tracker})).list_open()
    return word in {issue.id for issue in listing.issues} | {one.place for one in listing.refused}


def _is_provider(word: str, _said: argparse.Namespace) -> bool:
    from trailblazer.config import load_config
    from trailblazer.providers.chain import load_providers

    return word in load_providers(load_config())


# By the word that stands for a value in the help, else by the name; what is free text or a command is not here.
_NAMED: dict[str, _IsName] = {
    "FOLDER": _is_path,
    "PATH": _is_path,
    "FILE": _is_path,
    "plan": _is_path,
    "dispatch": _is_dispatch,
    "RID": _is_run,
    "ISSUE": _is_issue,
    "NAME": _is_provider,
}
