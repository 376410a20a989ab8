"""The parser of a verb: what it refuses names the nearest right word, and its help has defaults and examples."""

from __future__ import annotations

import argparse
import importlib
import os

from trailblazer.errors import WordsWrong
from trailblazer.words.grammar import EXIT_CODES, VERBS, below, is_handed_on, nearest

TYPE_CHECKING = False  # `typing` itself takes a tenth of the time a start may take
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

LARGEST = 2**31 - 1
PATHS = frozenset(  # the words of the help, and names of flags, that stand for a path, or for a name or a path
    {
        "DIR",
        "DISPATCH",
        "FILE",
        "FOLDER",
        "PATH",
        "SCENARIO",
        "SUITE",
        "dispatch",
        "plan",
        "scenario",
        "suite",
        "tracker",
    }
)
WIDEST = 110  # columns; a longer line is hard to read, however wide the terminal is


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses by raising WordsWrong, and takes no abbreviations."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options | {"formatter_class": _Help})
        self.register("type", int, _whole_number)
        self.register("type", float, _number)

    def error(self, message: str) -> NoReturn:
        """Refuse the words; where only the action is missing, list the actions."""
        if message.endswith("are required: ACTION"):
            raise WordsWrong("an action is needed", _listed(self))
        raise WordsWrong(message, f"Try: {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words, and refuse here what an action below does not know: the parser above has other flags."""
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            near = nearest(left[0].split("=")[0], list(self._option_string_actions))
            near = near or nearest("--" + left[0].split("=")[0], list(self._option_string_actions))
            hint = f"Try: {self.prog} --help"
            raise WordsWrong(
                f"unrecognized arguments: {' '.join(left)}", f"Did you mean {near}? {hint}" if near else hint
            )
        return parsed, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        right = [str(choice) for choice in action.choices]
        near = nearest(str(value), right)
        hint = f"Did you mean {near}?" if near else ""
        if isinstance(action, argparse._SubParsersAction):
            raise WordsWrong(f"{value!r} is not an action", hint or _listed(self))
        name = "/".join(action.option_strings) or action.metavar or action.dest
        raise WordsWrong(f"argument {name}: {value!r} is none of: {', '.join(right)}", hint)


def _listed(parser: argparse.ArgumentParser) -> str:
    """Return a line for each action of a parser, and where to read more."""
    summaries = summaries_of(parser)
    widest = max(map(len, summaries), default=0)
    lines = [f"{name:<{widest}}  {summary}" for name, summary in summaries.items()]
    return "\n".join([*lines, f"Try: {parser.prog} ACTION --help"])


def summaries_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the line of each action of a parser by the action's name."""
    found = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {choice.dest: choice.help or "" for action in found for choice in action._choices_actions}


class _Help(argparse.HelpFormatter):
    """Help as wide as the terminal. argparse would load shutil to find that out, a sixth of the time of a start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(_columns() - 2, WIDEST))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Wrap the prose. An example (a line that begins with a space) stays, or its comment goes to the next line."""
        return "\n".join(indent + line for line in _wrapped(text, width))

    def _get_help_string(self, action: argparse.Action) -> str | None:
        """Return what help says of a word, with its default where it has one and the help does not name it."""
        text, default = action.help, action.default
        has_default = action.nargs != 0 and default not in (None, "", argparse.SUPPRESS) and default is not False
        if not text or not has_default or "default" in text:
            return text
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        return text if f"({shown})" in text or f"{shown} " in text[-24:] else f"{text} ({shown})"


def _wrapped(text: str, width: int) -> Iterator[str]:
    import textwrap

    prose: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.strip() and not line.startswith(" ") and not line.endswith(":"):
            prose.append(line)
            continue
        if prose:
            yield from textwrap.wrap(" ".join(prose), width, break_long_words=False, break_on_hyphens=False)
            prose = []
        command, gap, comment = line.strip().partition("   ")
        if gap and len(line) > width:
            yield from (f"  {command}", f"      {comment.strip()}")
        else:
            yield line


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


def _module(verb: str) -> Any:
    return importlib.import_module(f"trailblazer.verbs.{verb}")


def takes_text(verb: str) -> bool:
    """Say whether the bare words of a verb are text, and never flags (`ask`)."""
    return bool(getattr(_module(verb), "FREE_TEXT", False))


def carry_out(verb: str, words: argparse.Namespace) -> int:
    """Have a verb do what its words say, and return its exit code."""
    answer: int = _module(verb).run(words)
    return answer


def parser_for(verb: str) -> argparse.ArgumentParser:
    """Return the parser of one verb, with its words added."""
    module = _module(verb)
    text = _with_examples(module.__doc__)
    parser = Parser(prog=f"trailblazer {verb}", description=text, epilog=EXIT_CODES)
    module.add_words(parser)
    _expand_paths(parser)
    summaries = summaries_of(parser)
    for name, action in below(parser).items():
        _expand_paths(action)
        action.description = action.description or _about(name, summaries.get(name, ""), text, action.prog)
        _add_common_words(action)
    if not summaries:
        _add_common_words(parser)
    return parser


def _path(text: str) -> str:
    if not text.startswith("~"):
        return text
    from trailblazer.paths import expanded

    return expanded(text)


def _expand_paths(parser: argparse.ArgumentParser) -> None:
    """Let `~` be the home folder in every word that may be a path: no shell expands it behind `plan=`."""
    for action in parser._actions:
        if action.nargs != 0 and (action.metavar in PATHS or action.dest in PATHS):
            action.type = _path


def _with_examples(text: str) -> str:
    """Return the text of a verb with its examples indented, which its module's docstring may have at the margin."""
    return "\n".join(f"  {line}" if line.startswith("trailblazer ") else line for line in text.splitlines())


def _about(name: str, summary: str, text: str, prog: str) -> str:
    """Return the description of an action: what it does, and its examples in the text of its verb."""
    examples = [line for line in text.splitlines() if f"{line.strip()} ".startswith(f"{prog} ") and line[0] == " "]
    return "\n".join([f"{(summary or name)[:1].upper()}{summary[1:]}.", "", *examples]).rstrip()


def _add_common_words(parser: argparse.ArgumentParser) -> None:
    """Add the words that every verb understands (B7); what is handed on as it is gets none."""
    if is_handed_on(parser):
        return
    common = parser.add_argument_group("everywhere")
    common.add_argument("--quiet", action="store_true", help="no words on stderr, except an error")
    common.add_argument("--verbose", action="store_true", help="more words: a line for every item")
    common.add_argument("--no-color", action="store_true", help="no colour, as NO_COLOR=1 has it")


def list_verbs() -> str:
    """Return the help of the program: every verb with its line, and the exit codes."""
    verbs = "\n".join(f"  {name:<12} {summary}" for name, summary in VERBS.items())
    return f"""\
usage: trailblazer VERB [words]

Carries out plans: gate, claim, dispatch, journal, proof.

{verbs}

  trailblazer help VERB explains its words; help VERB ACTION those of an action.
  name=value means --name=value, and a bare switch means --switch.
  `ask` takes its words as text.

{EXIT_CODES}"""
