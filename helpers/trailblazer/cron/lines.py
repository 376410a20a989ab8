"""The lines of config/crontab, checked, and as they stand in the crontab of a user: with absolute paths."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong
from trailblazer.paths import is_id
from trailblazer.plain import one_line

SOURCE = "config/crontab"
SCRIPT = "scripts/cron.sh"
LONGEST_LINE = 990
"""What every cron takes: Debian's has room for 998 characters."""
_NICKNAMES = frozenset(
    {"@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"},
)
_NAMES = re.compile("jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat", re.IGNORECASE)
_VARIABLE = re.compile(r"\s*[A-Za-z_]\w*\s*=")
_UNESCAPED = re.compile(r"(?<!\\)%")
_LOST = re.compile(r"\\[\\%]")


@dataclass(frozen=True, slots=True)
class CronLine:
    """A line of config/crontab: the comment above it, when it comes due, the words of cron.sh, the line to install.

    `next_time` is in local time, as cron counts; None for @nicknames.
    """

    comment: tuple[str, ...]
    schedule: str
    words: tuple[str, ...]
    next_time: datetime | None
    installed: str


def read_lines(config: Config) -> list[CronLine]:
    """Return the lines of the project's config/crontab. All mistakes are refused at once with ConfigWrong (exit 3)."""
    file = config.places.root / SOURCE
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigWrong(
            f"cannot read {file}: {reason}", f"A checkout has {SOURCE}; docs/cron.md shows a line."
        ) from None
    lines, mistakes, comment = [], [], list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            comment.append(line.strip())
            continue
        if line.strip():
            try:
                lines.append(_read_line(line.strip(), tuple(comment), config.places.root))
            except ValueError as mistake:
                mistakes.append(f"{file}:{number}: {mistake}")
        comment = []
    if mistakes:
        raise ConfigWrong(mistakes[0], "\n".join([*mistakes[1:], "docs/cron.md shows what a line may hold."]))
    return lines


def _read_line(line: str, comment: tuple[str, ...], root: Path) -> CronLine:
    if _VARIABLE.match(line):
        raise ValueError("a variable would change the lines of others too: write it into cron.environment")
    count = 1 if line.startswith("@") else 5
    fields = line.split(maxsplit=count)
    schedule = " ".join(fields[:count])
    next_time = next_time_of(schedule)
    command = fields[count] if len(fields) > count else ""
    if _UNESCAPED.search(command):
        raise ValueError(r"cron ends a command at a %: write \%")
    script, *words = shlex.split(command.replace(r"\%", "%")) or [""]
    if script != SCRIPT:
        raise ValueError(f"the command is not {SCRIPT} VERB [words]")
    _check_words(words)
    installed = render(schedule, tuple(words), root)
    return CronLine(comment, schedule, tuple(words), next_time, installed)


def _check_words(words: list[str]) -> None:
    rest = words[2:] if words[:1] == ["--name"] else words
    if rest is not words and not (len(words) > 1 and is_id(words[1])):
        raise ValueError("--name needs the name of a job: letters, digits and . _ @ + = -")
    verb = rest[0] if rest else ""
    if not (verb.isidentifier() and importlib.util.find_spec(f"trailblazer.verbs.{verb}")) or verb == "cron":
        raise ValueError(f"{one_line(verb)!r} is not a verb that can be started from cron")
    for word in words:
        if _LOST.search(word) or not word.isprintable():
            raise ValueError(rf"the word {one_line(word)!r} would not arrive as it is: no \\, \% or control characters")


def next_time_of(schedule: str, now: datetime | None = None) -> datetime | None:
    """Return when a schedule comes due next, in local time; None for @nicknames. A wrong schedule is a ValueError.

    Only what every cron takes is right: no seconds, no L, W, # or ?.
    """
    if schedule.startswith("@"):
        if schedule not in _NICKNAMES:
            raise ValueError(f"{one_line(schedule)!r} is none of {', '.join(sorted(_NICKNAMES))}")
        return None
    from cronsim import CronSim, CronSimError

    names = re.findall(r"[A-Za-z]+", schedule)
    if not re.fullmatch(r"[\w*,/ -]+", schedule) or not all(map(_NAMES.fullmatch, names)):
        raise ValueError(f"{one_line(schedule)!r} is not five fields of numbers, names, * , - and /")
    if len(schedule.split()) != 5:
        raise ValueError(f"{one_line(schedule)!r} is not five fields: minute, hour, day, month, weekday")
    try:
        return next(CronSim(schedule, now or datetime.now()))
    except CronSimError as error:
        raise ValueError(f"{one_line(schedule)!r}: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"{one_line(schedule)!r} never comes") from None


def render(schedule: str, words: tuple[str, ...], root: Path) -> str:
    """Return a line of a user's crontab, with absolute paths, that every shell reads alike. % is escaped."""
    start = ["cd", str(root), "&&", *_program(), *words]
    command = " ".join(word if word == "&&" else shlex.quote(word) for word in start)
    if not str(root).isprintable() or _LOST.search(str(root)):
        raise ValueError(f"the path {one_line(str(root))!r} cannot stand in a crontab")
    line = f"{schedule} " + command.replace("%", r"\%")
    if len(line.encode()) > LONGEST_LINE:
        raise ValueError(f"with absolute paths it has more than {LONGEST_LINE} bytes: put the words into a script")
    return line


def _program() -> list[str]:
    """Return how the wrapper is started: by the script of the checkout, or by the program of a wheel."""
    script = Path(__file__).resolve().parents[3] / SCRIPT
    return [str(script)] if script.is_file() else [str(Path(sys.executable).with_name("trailblazer")), "cron", "run"]
