"""Take issues from a tracker, give each to an agent, and say what came of it.

  trailblazer nightly --dry-run          which issues, which provider, and why
  trailblazer nightly max-dispatch=3
  trailblazer nightly bd-12 bd-17        these, whatever earlier nights came to
  trailblazer nightly --history          what the nights came to

The issues come from the tracker of the configuration (bd, or a JSON or YAML file). Each is claimed there, and worked
on by the first provider of the chain that can work. stdout gets one line for each outcome: DISPATCH_SUCCESS beads=…
or DISPATCH_FAILURE beads=… code=… cause=…"""

from __future__ import annotations

import argparse

from trailblazer.verbs.dispatch import add_resume_words


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the words of a night."""
    what = parser.add_argument_group("what")
    what.add_argument("issues", nargs="*", metavar="ISSUE", help="only these issues")
    what.add_argument("--tracker", metavar="WHAT", help="bd, or a JSON or YAML file (tracker.source)")
    what.add_argument("--max-dispatch", type=int, metavar="N", help="how many issues at most (nightly.max_dispatch)")
    what.add_argument("--prompt", metavar="FILE", help="the template of the prompt (nightly.prompt)")
    what.add_argument("--notes", metavar="TEXT", help="words for the manifest")
    how = parser.add_argument_group("how")
    how.add_argument("--max-parallel", type=int, metavar="N", help="how many at once (nightly.max_parallel)")
    how.add_argument("--provider", metavar="NAMES", help="claude, or a chain: claude,codex (providers.chain)")
    how.add_argument("--model", metavar="M", help="the model of the provider")
    how.add_argument("--wait-for-quota", action="store_true", default=None, help="wait where a quota is used up")
    how.add_argument("--max-cost-usd", type=float, metavar="D", help="start nothing more when so much is spent")
    how.add_argument("--max-tokens", type=float, metavar="N", help="… or so many tokens")
    how.add_argument("--item-max-cost-usd", type=float, metavar="D", help="the most that one issue may cost")
    how.add_argument(
        "--no-wait", dest="wait", action="store_false", default=None, help="leave dx-runner's runs running"
    )
    how.add_argument("--dry-run", action="store_true", help="do all that is free, and claim nothing")
    other = parser.add_argument_group("instead")
    add_resume_words(other)
    other.add_argument("--collect", action="store_true", help="settle what earlier nights left, and take no issue")
    other.add_argument("--history", action="store_true", help="show what the nights came to")
    seen = parser.add_argument_group("what is shown")
    seen.add_argument("--events", choices=["-"], help="-: the events on stdout too, as in the folder's events.ndjson")
    seen.add_argument("--json", action="store_true", help="lines of JSON first and last; with --history: one object")


def run(words: argparse.Namespace) -> int:
    """Carry a night out and return the exit code of the house."""
    said = {name: value for name, value in vars(words).items() if value is not None}
    if words.history:
        from trailblazer.lanes.issues.nights import print_history

        return print_history(as_json=words.json)
    from trailblazer.lanes.issues.night import carry_out_night

    return carry_out_night(said)
