"""The verbs, and the one grammar that the words of each of them follow."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERBS = {
    "init": "make a project folder: its configuration, its prompts",
    "dispatch": "carry out a plan of embedding runs: gate, claim, run, prove",
    "run": "work through everything that is normalised and unprocessed",
    "runs": "list, show, status, reset, forget, backfill of the table of runs",
    "batch": "run one command or agent over a list of items",
    "nightly": "take issues from a tracker, and give each to an agent",
    "calibrate": "give the cases of a scenario to agents, and score their answers",
    "signals": "next, submit, fail, watch: for an agent that works through files",
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
    "cron": "run a verb as cron should; show, install, remove the crontab",
    "logs": "prune what is old",
    "db": "start, stop, status, doctor, migrate, url, psql of the database",
    "config": "show what applies and where each value came from",
    "completions": "install what Tab completes, and the manual page",
}

EXIT_CODES = """\
exit codes:
  0 all settled well, or nothing waited   5 gate closed: nothing sent or spent
  1 a bug (the traceback is in a file)    6 finished, but some items failed
  2 words not understood                  7 already running
  3 configuration or document is invalid  8 an outside service did not answer
  4 plan missing, empty or unreadable     130/143 interrupted (Ctrl-C, TERM)"""

_NEAR_ENOUGH = 0.8  # a bare name=value that is so close to a flag was meant as that flag

_NEAR_A_SWITCH = 0.7  # a bare word that is so close to a switch, and names nothing, was meant as that switch


def nearest(word: str, right: list[str], cutoff: float = 0.6) -> str:
    """Return which of the right words a wrong one is closest to, or nothing."""
    import difflib

    close = difflib.get_close_matches(word, right, n=5, cutoff=cutoff)
    return max(close, key=lambda one: sorted(one) == sorted(word), default="")  # two letters changed places


def below(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a parser's actions by their names."""
    found = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return next(found, {})


def is_handed_on(parser: argparse.ArgumentParser) -> bool:
    """Say whether a parser hands its words on as they are, from the first that is not its own (`db psql`)."""
    return any(action.nargs == argparse.REMAINDER for action in parser._actions)


def as_flags(words: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """Return words with each bare `name=value` as `--name=value` and each bare switch `name` as `--name`.

    A bare word after a flag that takes a value is that value (`--plan latest`). Where a parser takes words without a
    name (a path, a dispatch), only its own flags are meant, and what can only be a slip of one (`wrokers=3`).
    Everything after `--` is left alone, and what a parser hands on. When a flag stands between words without a name,
    these come last, behind `--`: argparse would end with the first of them.
    """
    own: list[tuple[str, bool]] = []
    for position, (word, kind) in enumerate(zip(words, _kinds(words, parser), strict=False)):
        if kind == "action":
            return [*_in_order(own), word, *as_flags(words[position + 1 :], below(parser)[word])]
        if kind == "rest":
            return _in_order(own, words[position:])
        own.append((f"--{word}" if kind == "bare flag" else word, kind != "unnamed"))
    return _in_order(own)


def _kinds(words: list[str], parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield what each word is: an action, a flag, a bare flag, the value of one, unnamed, or where the rest begins."""
    options, actions = parser._option_string_actions, below(parser)
    has_names_only = all(action.option_strings for action in parser._actions)
    takes_value = may_take_value = False
    for word in words:
        if word == "--":
            yield "rest"
        if word in actions and not takes_value:
            yield "action"
        is_alone, is_dashed = "=" not in word, word.startswith("-") and word != "-"
        option = options.get(("" if is_dashed else "--") + word.split("=", 1)[0])
        if is_dashed:
            takes_value = is_alone and (option is None or option.nargs != 0)
            may_take_value = option is not None and option.nargs == "?"
            yield "flag"
            continue
        is_value = takes_value and is_alone and not (may_take_value and option is not None)
        takes_value = False
        is_flag = has_names_only or (option is not None and (not is_alone or option.nargs in {0, "?"}))
        if is_value:
            yield "value"
        elif is_handed_on(parser) and not is_flag:
            yield "rest"
        else:
            yield "bare flag" if is_flag or _is_slip(word, options) else "unnamed"


def near_switches(words: list[str], parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action, str]]:
    """Yield each word without a name that is close to a switch: the word, what it stands for, and that switch."""
    places = [action for action in parser._actions if not action.option_strings]
    switches = [name[2:] for name, action in parser._option_string_actions.items() if action.nargs in {0, "?"}]
    count = 0
    for position, (word, kind) in enumerate(zip(words, _kinds(words, parser), strict=False)):
        if kind == "action":
            yield from near_switches(words[position + 1 :], below(parser)[word])
        if kind in {"action", "rest"}:
            return
        if kind == "unnamed" and places:
            is_word = word.replace("-", "").isalpha()
            if is_word and (near := nearest(word, switches, _NEAR_A_SWITCH)):
                yield word, places[min(count, len(places) - 1)], near
            count += 1


def _in_order(own: list[tuple[str, bool]], rest: Sequence[str] = ()) -> list[str]:
    """Return words, of which some are flags and their values, in an order that argparse understands, and the rest."""
    places = [place for place, (_, is_named) in enumerate(own) if not is_named]
    if not places or places[-1] - places[0] + 1 == len(places):
        return [*(word for word, _ in own), *rest]
    flags = [word for word, is_named in own if is_named]
    return [*flags, "--", *(own[place][0] for place in places), *(rest[1:] if rest[:1] == ["--"] else rest)]


def _is_slip(word: str, options: dict[str, argparse.Action]) -> bool:
    """Say whether a bare name=value is a misspelt flag that takes a value."""
    name, separator, _ = word.partition("=")
    if not separator or not name.replace("-", "").isalpha() or f"--{name}" in options:
        return False
    right = [option for option, action in options.items() if action.nargs != 0]
    return bool(nearest(f"--{name}", right, _NEAR_ENOUGH))
