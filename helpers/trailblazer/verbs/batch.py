"""Run one command, or one agent, over a list of items, and know within minutes if it is going wrong.

  trailblazer batch run items=urls.txt timeout=10m -- ./scrape.sh '{{ item }}'
  trailblazer batch run items=ids provider=claude prompt='Scrape {{ item }}'
  trailblazer batch run catalog-scraper '["url1", "url2"]' 'Scrape {{ item }}'
  cat ids | trailblazer batch run -- python work.py --out '{{ output_file }}'
  trailblazer batch summary latest

Items are a JSON array, NDJSON, CSV with a header, lines, or NUL-separated. Words are Jinja2 and become argv, never a
shell's; {} is the item too; a command without either gets the item as its last word. There are item, index, task_id,
output_file, prompt_file and attempt. The first item runs alone before the rest; its good result counts."""

from __future__ import annotations

import argparse

from trailblazer.verbs.dispatch import add_answer_words, add_resume_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.lanes.items.work import Batch


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their words."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    summary = actions.add_parser("summary", help="make summary.json from the journal, and print where it is")
    summary.add_argument("dispatch", nargs="?", default="latest", help="a DISPATCH_TS, a folder, or: latest (default)")
    summary.add_argument("--json", action="store_true", help="print the summary itself")
    run_ = actions.add_parser("run", help="carry the items out", description=__doc__)
    what = run_.add_argument_group("what")
    what.add_argument("command", nargs="*", help="after --: the command and its words; or: SKILL ITEMS PROMPT")
    what.add_argument("--items", metavar="FILE", help="the items, or a JSON array in place; without it, or -: stdin")
    what.add_argument("--format", choices=["auto", "json", "ndjson", "csv", "lines", "nul"], help="of the items (auto)")
    what.add_argument(
        "--provider",
        metavar="NAME",
        help="an agent: claude, codex, opencode, gemini, your own; a chain: claude,codex; or: chain (providers.chain)",
    )
    what.add_argument("--model", metavar="M", help="the agent's model")
    what.add_argument("--template", metavar="FILE", help="the prompt of each item, in a file")
    what.add_argument("--prompt", metavar="TEXT", help="the prompt of each item, in place: 'Scrape {{ item }}'")
    what.add_argument("--shell", action="store_true", default=None, help="the one word is for sh; values are quoted")
    what.add_argument("--shuffle", action="store_true", default=None, help="start the items in random order")
    what.add_argument("--notes", metavar="TEXT", help="words for the manifest")
    again = run_.add_argument_group("again")
    add_resume_words(again)
    how = run_.add_argument_group("how")
    how.add_argument("--max-workers", type=int, metavar="N", help="how many at once (dispatch.workers)")
    how.add_argument("--timeout", metavar="T", help="of one attempt: 90, 10m, 2h, 3x the median; 0 is none (60m)")
    how.add_argument("--retries", type=int, metavar="N", help="more attempts at what failed (0), with back-off")
    how.add_argument("--delay", metavar="T", help="between starts: 0.5, 10s, 1m")
    how.add_argument("--max-load", type=float, metavar="L", help="start nothing while the load is higher")
    how.add_argument("--min-free-memory", metavar="SIZE", help="start nothing while less is free: 2G")
    how.add_argument("--idle", metavar="T", help="end what prints nothing for so long: 5m; 0 is never (agents: 30m)")
    how.add_argument(
        "--expect",
        choices=["json", "changes", "answer", "file"],
        help="good only with: output that parses, changes in the git checkout, an answer, or the output file",
    )
    how.add_argument("--expect-schema", metavar="FILE", help="good only when the output holds against this JSON Schema")
    stop = run_.add_argument_group("when to stop")
    stop.add_argument("--fail-fast", type=int, metavar="N", help="stop when the first N all fail")
    stop.add_argument(
        "--halt", metavar="RULE", help="stop by a rule: soon,fail=N  soon,fail=P%%  now,fail=N  soon,same=N"
    )
    stop.add_argument(
        "--preflight", choices=["ask", "go", "stop"], help="after the first item (ask; elsewhere: stop if it failed)"
    )
    stop.add_argument("--wait-for-quota", action="store_true", default=None, help="wait until a used-up quota resets")
    stop.add_argument("--max-cost-usd", type=float, metavar="N", help="start no item when the agents have spent this")
    stop.add_argument(
        "--max-tokens", type=float, metavar="N", help="start no item when they have used these, in and out"
    )
    stop.add_argument("--item-max-cost-usd", type=float, metavar="N", help="the most that one item may spend")
    stop.add_argument("--skip-preflight", action="store_true", default=None, help="no trial of the first item")
    stop.add_argument("--yes", action="store_true", default=None, help="do not ask after a good trial")
    stop.add_argument("--dry-run", action="store_true", help="say what would run, and run nothing")
    seen = run_.add_argument_group("what is shown and kept")
    seen.add_argument(
        "--monitor-interval", type=float, metavar="S", help="seconds between progress lines (120); 0 is off"
    )
    seen.add_argument("--results", choices=["json", "csv"], help="the results on stdout")
    add_answer_words(seen)
    seen.add_argument("--keep-order", action="store_true", default=None, help="the results in the order of the items")
    seen.add_argument(
        "--no-worker-logs", action="store_true", default=None, help="keep no worker.stdout and worker.stderr"
    )
    seen.add_argument("--log-cap", metavar="SIZE", help="the largest log that is kept (64M)")


def run(words: argparse.Namespace) -> int:
    """Do the action and return the exit code of the house."""
    if words.action == "summary":
        return _summarise(words.dispatch, as_json=words.json)
    from trailblazer.dispatch.story import carry_out
    from trailblazer.events import Console
    from trailblazer.lanes.items.work import ItemsWork

    work = ItemsWork(_request(words))
    return work.preview(Console()) if words.dry_run else carry_out(work)


def _request(words: argparse.Namespace) -> Batch:
    """Return the words as a request; those that were not said are not in it."""
    from trailblazer.dispatch.work import Answer, Show
    from trailblazer.lanes.items.work import Batch

    said = {
        name: value for name, value in vars(words).items() if value is not None and value is not False and value != []
    }
    items = said.pop("items", None)
    typed = said.pop("command", [])
    if items is None and len(typed) == 3 and typed[1].lstrip().startswith("["):
        said["skill"], items, said["prompt"] = typed
    elif typed:
        said["command"] = tuple(typed)
    return Batch(
        said,
        items,
        words.resume or words.retry_failed,
        only_failed=words.retry_failed is not None,
        dry_run=words.dry_run,
        force=words.force,
        show=Show(0, words.verbose, words.events is not None, Answer.JSON if words.json else Answer.FOLDER),
    )


def _summarise(name: str, *, as_json: bool) -> int:
    """Make the summary of a dispatch from its journal, and print it or where it is; a sealed folder keeps its own."""
    from trailblazer.config import load_config
    from trailblazer.record.folder import find_folder
    from trailblazer.record.proof import SEAL
    from trailblazer.reports.answers import print_document
    from trailblazer.reports.summary import SUMMARY, make_summary
    from trailblazer.schemas import read_json

    folder = find_folder(load_config().places, name)
    file = folder / SUMMARY if (folder / SEAL).is_file() else make_summary(folder)
    if as_json:
        print_document("summary", read_json(file))
    else:
        print(file)
    return 0
