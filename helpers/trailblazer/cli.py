"""Words become a verb; the only place that prints errors and exits."""

from __future__ import annotations

import errno
import os
import signal
import sys

from trailblazer.errors import Trouble, WordsWrong, storage_trouble
from trailblazer.streams import drop, hold_streams, hush, tell
from trailblazer.words.grammar import VERBS, as_flags, near_switches, nearest
from trailblazer.words.parsers import carry_out, list_verbs, parser_for, takes_text

TYPE_CHECKING = False  # `typing` itself takes a tenth of the time a start may take
if TYPE_CHECKING:
    from typing import NoReturn


def main(argv: list[str] | None = None) -> int:
    """Carry out the words of a command line and return the exit code; troubles are printed here and nowhere else."""
    if {"_ARGCOMPLETE", "COMP_LINE"} <= os.environ.keys():  # Tab was pressed
        from trailblazer.words.completing import complete

        complete()
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["help"] and len(words) > 1:  # `help runs list` is `runs list --help`
        words = [*words[1:], "--help"]
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
    parser = parser_for(verb)
    try:
        is_text = takes_text(verb)
        parsed = parser.parse_args(words[1:] if is_text else as_flags(words[1:], parser))
    except SystemExit:  # argparse leaves like this after --help only
        return 0
    if not is_text and any(near_switches(words[1:], parser)):
        from trailblazer.words.slips import refuse_slips

        refuse_slips(words[1:], parser, parsed)
    if vars(parsed).pop("no_color", False):
        os.environ["NO_COLOR"] = "1"
    hush(is_quiet=getattr(parsed, "quiet", False))
    _watch_for_state()
    return carry_out(verb, parsed)


def _watch_for_state() -> None:
    """Have people told when ./var appears where no project is."""
    from pathlib import Path

    from trailblazer.atomic import tell_when_made
    from trailblazer.paths import find_root

    try:
        here = Path.cwd()
    except OSError:  # the folder is gone: the verb says so when it needs it
        return
    if "TRAILBLAZER_PATHS_VAR" not in os.environ and find_root(here) is None:
        tell_when_made(here / "var", "This is no project: state goes to {}. `trailblazer init` makes a project.")


def _without_verb(words: list[str]) -> int:
    if words and words[0] in {"--version", "-V"}:
        from importlib.metadata import version

        print("trailblazer", version("trailblazer"))
        return 0
    if words and words[0] not in {"-h", "--help", "help"}:
        near = nearest(words[0], list(VERBS))
        hint = f"Did you mean {near}?" if near else "Try: trailblazer --help"
        raise WordsWrong(f"{words[0]!r} is not a verb", hint)
    print(list_verbs())
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
