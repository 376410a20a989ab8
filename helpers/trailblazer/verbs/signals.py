"""The agent's side of signals: take work that waits in a suite, answer it, or say why not.

  trailblazer signals next --wait 60            take one; prints its prompt
  trailblazer signals submit 12 answer.json     answer signal 12; - is stdin
  trailblazer signals fail 13 'the log is empty'
  trailblazer signals watch                     a line for each change

The suite is the newest one in which a signal is open, unless --suite names one. An agent that writes the files
itself needs none of this: docs/parallel-architecture.md."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.signals.agents import Found
    from trailblazer.signals.suite import Suite


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their words."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    next_ = actions.add_parser("next", help="take the first signal that waits, and print its prompt")
    next_.add_argument("--wait", type=float, default=0.0, metavar="S", help="wait for one so many seconds (0)")
    next_.add_argument("--agent", metavar="NAME", default="", help="the name of who takes it (host/pid)")
    next_.add_argument("--json", action="store_true", help="the same as one JSON object; null when none waits")
    submit = actions.add_parser("submit", help="check an answer and publish it")
    submit.add_argument("signal", type=int, metavar="SIGNAL", help="its number")
    submit.add_argument("answer", nargs="?", default="-", metavar="FILE", help="a JSON object; - is stdin (default)")
    fail = actions.add_parser("fail", help="say why a signal has no answer")
    fail.add_argument("signal", type=int, metavar="SIGNAL", help="its number")
    fail.add_argument("reason", metavar="WHY", help="one line")
    for action in (submit, fail):
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")
    watch = actions.add_parser("watch", help="show the signals, and what becomes of them, until all have ended")
    watch.add_argument("--json", action="store_true", help="a JSON object for each change")
    for action in (next_, submit, fail, watch):
        action.add_argument("--suite", metavar="SUITE", help="its id or its folder (the newest)")


def run(words: argparse.Namespace) -> int:
    """Do the action. Prompts and states go to stdout, messages for people go to stderr."""
    from trailblazer.config import load_config
    from trailblazer.events import Console
    from trailblazer.signals.choosing import choose_suite

    suite = choose_suite(load_config().places, words.suite)
    if words.action == "next":
        return _next(suite, words)
    if words.action == "watch":
        return _watch(suite, as_json=words.json)
    from trailblazer.reports.answers import print_answer
    from trailblazer.signals.agents import fail, find_signal, submit

    found = find_signal(suite, words.signal)
    if words.action == "fail":
        fail(found, words.reason)
    else:
        submit(found, _answer(found, words.answer))
    if words.json:
        print_answer(f"signals {words.action}", "done", [found.artifact], {"signal": found.number})
    Console().say(f"signal {found.number} of suite {suite.folder.name}: {words.action}: published", "green")
    return 0


def _next(suite: Suite, words: argparse.Namespace) -> int:
    import shlex
    import sys

    from trailblazer.events import Console
    from trailblazer.plain import one_line, plain
    from trailblazer.reports.answers import print_document
    from trailblazer.signals.agents import Taker

    found = Taker(suite, words.agent).take(words.wait)
    if words.json:
        print_document("signal_taken", _document(found) if found is not None else None)
    elif found is not None:
        name = shlex.quote(words.suite or suite.folder.name)
        print(plain(found.prompt()) if sys.stdout.isatty() else found.prompt())
        print(one_line(f"Signal {found.number}, case {found.signal.case_id}, step {found.signal.step}."))
        print(f"To answer:         trailblazer signals submit {found.number} ANSWER.json --suite {name}")
        print(f"If you cannot:     trailblazer signals fail {found.number} 'why' --suite {name}")
    if found is None:
        Console().say(f"No signal waits in suite {suite.folder.name}")
    return 0


def _document(found: Found) -> dict[str, object]:
    return {
        "suite": found.suite.folder.name,
        "dispatch_id": found.number,
        "case_id": found.signal.case_id,
        "step": found.signal.step,
        "prompt": found.prompt(),
        "prompt_path": str(found.suite.prompt(found.number)),
        "artifact_path": str(found.artifact),
    }


def _answer(found: Found, name: str) -> dict[str, object]:
    """Return the answer in a file or on stdin; what the step does not take is refused, and may be sent again."""
    import sys
    from pathlib import Path

    from trailblazer import schemas
    from trailblazer.errors import DocumentInvalid
    from trailblazer.lanes.signals.answers import check_answer
    from trailblazer.signals.artifacts import MOST_BYTES

    if name == "-":
        try:
            answer = schemas.parse_json(sys.stdin.buffer.read(MOST_BYTES + 1))
        except ValueError as error:
            raise DocumentInvalid(f"the answer on stdin is not JSON: {error}", "Send one JSON object.") from error
    else:
        answer = schemas.read_json(Path(name))
    if isinstance(answer, dict) and {"dispatch_id", "data"} <= answer.keys():
        if answer["dispatch_id"] != found.number:
            raise DocumentInvalid(
                f"the answer is for signal {answer['dispatch_id']!r}, not {found.number}", "Send the right one."
            )
        answer = answer["data"]
    if not isinstance(answer, dict):
        raise DocumentInvalid("the answer is not a JSON object", "Send one JSON object.")
    check_answer(found.signal.step, answer)
    return answer


def _watch(suite: Suite, *, as_json: bool) -> int:
    import dataclasses
    import time

    from trailblazer.plain import one_line
    from trailblazer.reports.answers import print_document
    from trailblazer.signals.agents import LOOK_SECONDS, signals_of
    from trailblazer.signals.documents import ENDED

    shown: dict[int, str] = {}
    ended: set[int] = set()
    while True:
        is_open = False
        for found in signals_of(suite, ended):
            signal = found.signal
            if signal.status in ENDED:
                ended.add(found.number)
            else:
                is_open = True
            if shown.get(found.number) == signal.status:
                continue
            shown[found.number] = signal.status
            if as_json:
                print_document("signal", dataclasses.asdict(signal), is_line=True)
            else:
                line = f"{found.number:>5}  {signal.case_id}  {signal.step}  {signal.status}  {signal.error}"
                print(one_line(line, 300), flush=True)
        if not is_open:
            return 0
        time.sleep(LOOK_SECONDS)
