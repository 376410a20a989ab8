"""Words become a verb; the only place that prints errors and exits."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import sys

from trailblazer.errors import Trouble, WordsWrong, storage_trouble
from trailblazer.streams import drop, hold_streams, hush, tell

TYPE_CHECKING = False  # `typing` itself takes a tenth of the time a start may take
if TYPE_CHECKING:
    from typing import Any, NoReturn

VERBS = {
    "dispatch": "carry out a plan of embedding runs: gate, claim, run, prove",
    "run": "work through everything that is normalised and unprocessed",
    "runs": "list, show, status, reset, forget, backfill of the table of runs",
    "batch": "run one command or agent over a list of items",
    "nightly": "take issues from a tracker, and give each to an agent",
    "calibrate": "give the cases of a scenario to agents, and score their answers",
    "signals": "next, submit, fail, watch: the side of an agent that works through files",
    "normalize": "turn md, txt, rst and html files into runs",
    "chunk": "cut the documents of runs into chunks under a token cap",
    "embed": "preflight, plan-preflight, manifest, diff, reembed-if-changed, run",
    "ask": "find the chunks that answer a question",
    "providers": "list and check who can do the work: agents, dx-runner",
    "control": "steer a dispatch while it runs: pause, drain, cancel, workers, …",
    "monitor": "show how a dispatch is getting on",
    "log": "print what an item of a dispatch wrote",
    "report": "show what a dispatch came to: html, md, json, junit, prometheus",
    "history": "list all dispatches: what each came to, and what fails again",
    "verify": "prove that a sealed dispatch folder is unchanged",
    "prompts": "index the prompts, and archive files with other names",
    "cron": "run a verb as cron should; show, install, remove the lines of config/crontab",
    "logs": "prune what is old",
    "db": "start, stop, status, doctor, migrate, url, psql of the database",
    "config": "show what applies and where each value came from",
}

LARGEST = 2**31 - 1

EXIT_CODES = """\
exit codes:
  0 all settled well, or nothing was waiting    5 gate closed: nothing sent, nothing spent
  1 a bug (the traceback is in a file)          6 finished, but some items failed
  2 words not understood                        7 already running
  3 configuration or a document is invalid      8 an outside service did not answer; repeat
  4 plan missing, empty or unreadable           130/143 interrupted (Ctrl-C, TERM)"""


class _Parser(argparse.ArgumentParser):
    """An argument parser that refuses by raising, and takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _Help)
        super().__init__(allow_abbrev=False, **options)
        self.register("type", int, _whole_number)
        self.register("type", float, _number)

    def error(self, message: str) -> NoReturn:
        hint = f"Try: {self.prog} --help"
        if message.startswith("unrecognized arguments: --"):
            near = _nearest(message.split()[2].split("=")[0], list(self._option_string_actions))
            hint = f"Did you mean {near}? {hint}" if near else hint
        raise WordsWrong(message, hint)


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal. argparse would load shutil to find that out, a sixth of the time of a start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    """Return how wide the terminal is, as shutil has it: by COLUMNS, else by stdout, else 80."""
    said = os.environ.get("COLUMNS", "")
    try:
        return (int(said) if said.isdecimal() else 0) or os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def _whole_number(text: str) -> int:
    """Return a whole number of a command line; none of them needs more than 31 bits."""
    number = int(text)
    if abs(number) > LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:40]} is out of range: {LARGEST} at most")
    return number


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number <= LARGEST:  # not a number is not in it
        raise argparse.ArgumentTypeError(f"{text[:40]} is out of range: 0 to {LARGEST}")
    return number


def _nearest(word: str, right: list[str]) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(word, right, n=1)), "")


def parser_for(verb: str) -> argparse.ArgumentParser:
    """Return the parser of one verb, with its words added."""
    module = _module(verb)
    parser = _Parser(prog=f"trailblazer {verb}", description=module.__doc__, epilog=EXIT_CODES)
    module.add_words(parser)
    _add_common_words(parser)
    return parser


def _add_common_words(parser: argparse.ArgumentParser) -> None:
    """Add the words that every verb understands (B7); what is handed on as it is gets none."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _add_common_words(below)
            return
        if action.nargs == argparse.REMAINDER:
            return
    common = parser.add_argument_group("everywhere")
    common.add_argument("--quiet", action="store_true", help="no words on stderr, except an error")
    common.add_argument("--verbose", action="store_true", help="more words: a line for every item")
    common.add_argument("--no-color", action="store_true", help="no colour, as NO_COLOR=1 has it")


def _module(verb: str) -> Any:
    return importlib.import_module(f"trailblazer.verbs.{verb}")


def as_flags(words: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """Return words with each bare `name=value` as `--name=value` and each bare switch `name` as `--name`.

    A bare word after a flag that takes a value is that value (`--plan latest`). Where a parser takes words without a
    name (a path, a dispatch), only its own flags are meant. Everything after `--` is left alone, and what a parser
    hands on as it is (`db psql`).
    """
    options, named = parser._option_string_actions, [a for a in parser._actions if not a.option_strings]
    below = next((a.choices for a in named if isinstance(a, argparse._SubParsersAction)), {})
    if any(action.nargs == argparse.REMAINDER for action in named):
        return words
    flags: list[str] = []
    takes_value = may_take_value = False
    for position, word in enumerate(words):
        if word == "--":
            return flags + words[position:]
        if word in below and not takes_value:
            return [*flags, word, *as_flags(words[position + 1 :], below[word])]
        option = options.get(("" if word.startswith("-") else "--") + word.split("=", 1)[0])
        is_alone = "=" not in word
        if word.startswith("-"):
            flags.append(word)
            takes_value = is_alone and (option is None or option.nargs != 0)
            may_take_value = option is not None and option.nargs == "?"
            continue
        is_value = takes_value and is_alone and not (may_take_value and option is not None)
        takes_value = False
        is_flag = not named or (option is not None and (not is_alone or option.nargs in {0, "?"}))
        flags.append("--" + word if is_flag and not is_value else word)
    return flags


def main(argv: list[str] | None = None) -> int:
    """Carry out the words of a command line and return the exit code; troubles are printed here and nowhere else."""
    words = sys.argv[1:] if argv is None else argv
    verb = words[0] if words and words[0] in VERBS else ""
    hold_streams()
    os.umask(os.umask(0) & 0o077)  # what we make is ours to use under any umask; modes are given where it is made
    try:
        signal.signal(signal.SIGTERM, _terminated)
        code = _run(verb, words)
        sys.stdout.flush()
    except Trouble as trouble:
        _say(verb, trouble)
        return trouble.exit_code
    except KeyboardInterrupt as interrupt:
        tell(f"{verb or 'trailblazer'}: interrupted\n")
        return 143 if interrupt.args == (signal.SIGTERM,) else 130
    except BrokenPipeError:
        drop(sys.stdout)
        return 141
    except Exception as error:  # noqa: BLE001 - the last place where a bug can still be said in one line
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}:
            drop(sys.stdout)
            full = storage_trouble(error, "write" if error.filename else "write to stdout")
            _say(verb, full)
            return full.exit_code
        return _tell_bug(verb, error)
    return code


def _terminated(number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def _run(verb: str, words: list[str]) -> int:
    if not verb:
        return _without_verb(words)
    module = _module(verb)
    parser = parser_for(verb)
    rest = words[1:] if getattr(module, "FREE_TEXT", False) else as_flags(words[1:], parser)
    try:
        parsed = parser.parse_args(rest)
    except SystemExit as leaving:  # argparse leaves like this after --help only
        return int(leaving.code or 0)
    if vars(parsed).pop("no_color", False):
        os.environ["NO_COLOR"] = "1"
    hush(is_quiet=getattr(parsed, "quiet", False))
    answer: int = module.run(parsed)
    return answer


def _without_verb(words: list[str]) -> int:
    if words and words[0] in {"--version", "-V"}:
        from importlib.metadata import version

        print("trailblazer", version("trailblazer"))
        return 0
    if words and words[0] not in {"-h", "--help", "help"}:
        near = _nearest(words[0], list(VERBS))
        hint = f"Did you mean {near}?" if near else "Try: trailblazer --help"
        raise WordsWrong(f"{words[0]!r} is not a verb", hint)
    print("usage: trailblazer VERB [words]\n\nCarries out plans: gate, claim, dispatch, journal, proof.\n")
    for name, summary in VERBS.items():
        print(f"  {name:<10} {summary}")
    print("\n  trailblazer VERB --help explains its words.")
    print("  name=value means --name=value, and a bare switch means --switch; `ask` takes its words as text.\n")
    print(EXIT_CODES)
    return 0 if words else WordsWrong.exit_code


def _say(verb: str, trouble: Trouble) -> None:
    from trailblazer.plain import plain

    tell(f"{verb or 'trailblazer'}: {plain(trouble.what)}\n")
    for line in trouble.hint.splitlines():
        tell(f"  {plain(line)}\n")


def _tell_bug(verb: str, error: Exception) -> int:
    import tempfile
    import traceback

    from trailblazer.plain import one_line

    text = "".join(traceback.format_exception(error))
    tell(f"{verb or 'trailblazer'}: a bug: {one_line(repr(error), 200)}\n")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="trailblazer-bug-", suffix=".txt", delete=False) as file:
            file.write(text)
        tell(f"  The traceback is in {file.name}.\n")
    except OSError:
        tell(text)
    return 1
