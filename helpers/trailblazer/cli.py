"""Words become a verb; the only place that prints errors and exits."""

from __future__ import annotations

import argparse
import errno
import importlib
import signal
import sys

from trailblazer.errors import Trouble, WordsWrong, storage_trouble
from trailblazer.streams import drop, hold_streams, tell

TYPE_CHECKING = False  # `typing` itself takes a tenth of the time a start may take
if TYPE_CHECKING:
    from typing import Any, NoReturn

VERBS = {
    "dispatch": "carry out a plan of embedding runs: gate, claim, run, prove",
    "run": "work through everything that is normalised and unprocessed",
    "runs": "list, show, status, reset, backfill of the table of runs",
    "batch": "run one command or agent over a list of items",
    "normalize": "turn md, txt, rst and html files into runs",
    "chunk": "cut the documents of runs into chunks under a token cap",
    "embed": "preflight, plan-preflight, manifest, diff, reembed-if-changed, run",
    "ask": "find the chunks that answer a question",
    "monitor": "show how a dispatch is getting on",
    "verify": "prove that a sealed dispatch folder is unchanged",
    "prompts": "index the prompts, and archive what is none",
    "logs": "prune what is old",
    "db": "start, stop, status, doctor, migrate, url, psql of the database",
    "config": "show what applies and where each value came from",
}

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
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        hint = f"Try: {self.prog} --help"
        if message.startswith("unrecognized arguments: --"):
            near = _nearest(message.split()[2].split("=")[0], list(self._option_string_actions))
            hint = f"Did you mean {near}? {hint}" if near else hint
        raise WordsWrong(message, hint)


def _nearest(word: str, right: list[str]) -> str:
    import difflib

    return next(iter(difflib.get_close_matches(word, right, n=1)), "")


def parser_for(verb: str) -> argparse.ArgumentParser:
    """Return the parser of one verb, with its words added."""
    module = _module(verb)
    parser = _Parser(prog=f"trailblazer {verb}", description=module.__doc__, epilog=EXIT_CODES)
    module.add_words(parser)
    return parser


def _module(verb: str) -> Any:
    return importlib.import_module(f"trailblazer.verbs.{verb}")


def as_flags(words: list[str], switches: frozenset[str] = frozenset()) -> list[str]:
    """Return words with each bare `name=value` as `--name=value` and each bare `name` as `--name`.

    A bare word after a flag without `=` is that flag's value (`--plan latest`), unless the flag is one of the
    `switches`, which take none. Everything after `--` is left alone.
    """
    flags: list[str] = []
    takes_value = False
    for position, word in enumerate(words):
        if word == "--":
            return flags + words[position:]
        is_value = takes_value and "=" not in word and not word.startswith("-")
        flags.append(word if word.startswith("-") or is_value else "--" + word)
        takes_value = word.startswith("-") and "=" not in word and word not in switches
    return flags


def main(argv: list[str] | None = None) -> int:
    """Carry out the words of a command line and return the exit code; troubles are printed here and nowhere else."""
    words = sys.argv[1:] if argv is None else argv
    verb = words[0] if words and words[0] in VERBS else ""
    hold_streams()
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
    except Exception as error:  # noqa: BLE001 - the last place where a bug can still be told in one line
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
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
    rest = words[1:]
    bare = getattr(module, "BARE_WORDS", False)
    if bare is True:
        rest = as_flags(rest, _switches(parser))
    elif bare and rest[:1] and rest[0] in bare:  # the actions of a verb whose words may be bare
        rest = [rest[0], *as_flags(rest[1:], _switches(parser))]
    try:
        parsed = parser.parse_args(rest)
    except SystemExit as leaving:  # argparse leaves like this after --help only
        return int(leaving.code or 0)
    answer: int = module.run(parsed)
    return answer


def _switches(parser: argparse.ArgumentParser) -> frozenset[str]:
    """Return the flags of a parser, and of those below it, that take no value."""
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings) if action.nargs == 0 else set()
        if isinstance(action, argparse._SubParsersAction):
            found |= {name for below in action.choices.values() for name in _switches(below)}
    return frozenset(found)


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
    print("\n  trailblazer VERB --help tells its words.\n\n" + EXIT_CODES)
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
