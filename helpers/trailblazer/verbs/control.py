"""Steer a dispatch while it runs, from another terminal.

  trailblazer control pause                    start nothing new; what runs goes on
  trailblazer control resume                   go on after a pause
  trailblazer control drain                    let what runs finish, then end; --resume runs the rest
  trailblazer control stop                     end what runs, then end, as Ctrl-C does
  trailblazer control workers 8                carry out 8 items at once
  trailblazer control cancel 'task_17'         end an item, or take it from the queue
  trailblazer control retry 'task_17'          try an item again at once that has no good result
  trailblazer control first 'task_17'          move a waiting item to the head of the queue
  trailblazer control add more.txt             put more items at the end of a batch; -: stdin
  trailblazer control 20261121T003642Z pause   one dispatch of several that run

An item is named by its id, its number or task_N. The journal keeps who said what, and when."""

from __future__ import annotations

import argparse
import contextlib

from trailblazer.errors import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the dispatch, the action and its word."""
    parser.add_argument("words", nargs="*", metavar="[DISPATCH] ACTION [WORD]", help="what to do, as in the examples")
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Steer the dispatch, and print what it did."""
    from trailblazer.config import load_config
    from trailblazer.dispatch.control import running_dispatch, send
    from trailblazer.dispatch.steering import ACTIONS, read_steering
    from trailblazer.paths import expanded
    from trailblazer.record.folder import find_folder

    actions = {action.split()[0] for action in ACTIONS}
    has_name = len(words.words) > 1 and words.words[0] not in actions
    said = words.words[1:] if has_name else words.words
    if said[:1] == ["add"]:  # the other words may be ids of items
        said = ["add", *map(expanded, said[1:])]
    read_steering(said)
    places = load_config().places
    folder = find_folder(places, expanded(words.words[0])) if has_name else running_dispatch(places)
    with _with_items(folder, said) as asked:
        answer = send(folder, asked)
    if words.json:
        from trailblazer.reports.answers import print_document

        print_document("control_answer", answer.document())
        return answer.exit_code
    if answer.exit_code:
        refusal = Trouble(answer.answer, answer.hint)
        refusal.exit_code = answer.exit_code
        raise refusal
    print(f"{answer.dispatch_id}: {answer.answer}")
    return 0


@contextlib.contextmanager
def _with_items(folder: Path, said: list[str]) -> Iterator[list[str]]:
    """Yield the words of an action; the items of `add FILE` stand in a file of ours as long as this is entered."""
    if said[0] != "add":
        yield said
        return
    import os

    from trailblazer.lanes.items.source import spool_from

    draft = folder.parent / f".items-{os.uname().nodename}-{os.getpid()}.ndjson"
    try:
        spool_from(said[1], "auto", draft)
        source = "stdin" if said[1] == "-" else os.path.realpath(said[1])
        yield ["add", str(draft), source]
    finally:
        draft.unlink(missing_ok=True)
