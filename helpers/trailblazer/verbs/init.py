"""Make a project folder: the configuration, the prompts, and a .gitignore for var/.

  trailblazer init                 in this folder
  trailblazer init my-project

A file that is there is left as it is. In a project all state goes to the var/ of the project, from whatever folder
below it a verb is started."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="the folder (default: this one)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be made, and make nothing")
    parser.add_argument("--json", action="store_true", help="what was made and what was left, as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Write what is not there yet. The paths that were made go to stdout, what is next to stderr."""
    from pathlib import Path

    from trailblazer.events import Console
    from trailblazer.lanes.project import find_missing, make_project
    from trailblazer.reports.answers import print_answer

    folder = Path(words.folder).absolute()
    missing, there = find_missing(folder)
    if not words.dry_run:
        make_project(folder, missing)
    if words.json:
        state = "unchanged" if not missing else "would change" if words.dry_run else "done"
        counts = {"made": len(missing), "left": len(there)}
        print_answer("init", state, [folder / name for name in missing], counts)
    else:
        for name in missing:
            print(folder / name)
    say = Console().say
    for name in there:
        say(f"{folder / name} is there already: it is left as it is")
    if words.dry_run:
        say("Nothing was made.")
        return 0
    say(f"{folder} is a project: its state goes to {folder / 'var'}, which .gitignore should name.", "green")
    say("Next:  trailblazer normalize --sample;  trailblazer run;  trailblazer ask 'how do I catch an exception'")
    say("Or:    trailblazer batch run --items FILE -- COMMAND;  trailblazer help")
    return 0
