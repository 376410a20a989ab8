"""Show and change the table of runs: the state of each run, who holds it, and what waits again.

trailblazer runs status                          totals, and who holds what
trailblazer runs list status=failed runs='2026-*'
trailblazer runs show 2026-11-20
trailblazer runs reset scope=embeddings runs='2026-*' dry-run
trailblazer runs forget 2026-11-20 yes           a run whose folder is gone
trailblazer runs backfill                        what lies in var/runs"""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.lanes.embed.run_table import TableAnswer

SCOPES = ("processed", "embeddings", "all")


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the six actions, and the filters that three of them share."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="one line a run")
    _add_filters(listing)
    listing.add_argument("--status", metavar="S,S", help="only runs in these states: failed,reset")
    listing.add_argument("--limit", type=int, metavar="N", help="only the first N")
    listing.add_argument("--json", action="store_true", help="print a JSON array")
    show = actions.add_parser("show", help="everything that is known about one run")
    show.add_argument("run", metavar="RID", help="the run")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    status = actions.add_parser("status", help="the number of runs in each state, and who holds which run")
    _add_filters(status)
    status.add_argument("--json", action="store_true", help="print one JSON object")
    reset = actions.add_parser("reset", help="make runs wait again; can delete their vectors or rows")
    reset.add_argument(
        "--scope",
        required=True,
        choices=SCOPES,
        help="processed deletes nothing; embeddings: the vectors; all: every row",
    )
    _add_filters(reset)
    reset.add_argument("--dry-run", action="store_true", help="say what would be deleted, and change nothing")
    reset.add_argument("--yes", action="store_true", help="delete; without it nothing is deleted")
    forget = actions.add_parser("forget", help="forget a run that is gone: its row, with --yes all of it")
    forget.add_argument("run", metavar="RID", nargs="+", help="the run")
    forget.add_argument("--dry-run", action="store_true", help="say what would be deleted, and change nothing")
    forget.add_argument("--yes", action="store_true", help="delete its vectors, chunks and documents too")
    backfill = actions.add_parser("backfill", help="enter the runs of var/runs that the table does not know")
    for action in (reset, backfill):
        action.add_argument("--events", choices=["-"], help="-: the events on stdout too, as in runs_events.ndjson")
    for action in (reset, forget, backfill):
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")


def _add_filters(action: argparse.ArgumentParser) -> None:
    parser = action.add_argument_group("which runs")
    parser.add_argument("--source", metavar="S", help="only runs of this source")
    parser.add_argument("--runs", metavar="GLOB", help="only runs whose id matches: runs='2026-*'")
    parser.add_argument("--since", metavar="WHEN", help="only runs normalized at or after this date or time (UTC)")
    parser.add_argument("--until", metavar="WHEN", help="only runs normalized before this date or time (UTC)")


def run(words: argparse.Namespace) -> int:
    """Carry out one action: answers to stdout, words for people to stderr."""
    from trailblazer.config import load_config
    from trailblazer.lanes.embed import run_table

    config = load_config()
    if words.action == "backfill":
        return run_table.fill(config, answer=_answer(words))
    if words.action == "forget":
        answer = run_table.TableAnswer(words.json)
        return run_table.forget_runs(config, words.run, dry_run=words.dry_run, is_sure=words.yes, answer=answer)
    if words.action == "show":
        return run_table.show(config, words.run, as_json=words.json)
    filters = run_table.read_filters(words.source, words.runs, words.since, words.until)
    if words.action == "list":
        return run_table.print_list(config, filters, words.status, words.limit, as_json=words.json)
    if words.action == "status":
        return run_table.print_status(config, filters, as_json=words.json)
    return run_table.reset_runs(
        config, words.scope, filters, dry_run=words.dry_run, is_sure=words.yes, answer=_answer(words)
    )


def _answer(words: argparse.Namespace) -> TableAnswer:
    from trailblazer.errors import WordsWrong
    from trailblazer.lanes.embed.run_table import TableAnswer

    if words.json and words.events:
        raise WordsWrong("--json and --events do not go together", "Give one of them: stdout is for one answer.")
    return TableAnswer(words.json, has_events=words.events is not None)
