"""Carry out a plan of embedding runs: gate, claim, embed, prove.

  trailblazer dispatch plan=latest workers=4 skip-unchanged
  trailblazer dispatch --plan-file list.txt --notes "second try"
  trailblazer dispatch resume=latest
  trailblazer dispatch plan=backlog           what waits in the table of runs

Without a plan: the newest bundle with a ready.txt, else var/temp_runs_to_embed.txt. Words for people go to stderr and
var/logs/dispatcher.out. stdout gets the folder of the dispatch at the end, unless it is a terminal."""

from __future__ import annotations

import argparse

from trailblazer.verbs.embed import add_embedder_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.lanes.embed.request import EmbedRequest


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the words of a dispatch."""
    plan = parser.add_argument_group("the plan")
    plan.add_argument("--plan", metavar="WHAT", help="a bundle folder, a ready.txt, a list of ids; latest; backlog")
    plan.add_argument("--plan-preflight-dir", metavar="DIR", help="the bundle whose ready.txt is the plan")
    plan.add_argument("--plan-file", metavar="FILE", help="a list of run ids, one a line")
    plan.add_argument("--qa-dir", "--qa", metavar="DIR", help="a retrieval QC folder to archive with the dispatch")
    again = parser.add_argument_group("again")
    add_resume_words(again, force="; with --skip-unchanged: embed all the same")
    how = parser.add_argument_group("how")
    how.add_argument("--skip-unchanged", action="store_true", help="embed only what changed since it was embedded")
    how.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    seen = add_embedding_words(parser, how)
    seen.add_argument("--status", metavar="DISPATCH", help="print how a dispatch stands as JSON, and do nothing")


def add_embedding_words(parser: argparse.ArgumentParser, how: argparse._ArgumentGroup) -> argparse._ArgumentGroup:
    """Add the words that `dispatch` and `run` share, and return the group of those about what is shown."""
    how.add_argument("--notes", metavar="TEXT", default="", help="words for the manifest")
    add_embedder_words(how)
    how.add_argument("--batch-size", type=int, metavar="N", help="texts per call of the provider")
    how.add_argument("--workers", type=int, metavar="N", help="worker processes")
    how.add_argument("--retries", type=int, metavar="N", help="more attempts when the provider or database was away")
    how.add_argument("--fail-fast", type=int, metavar="N", help="stop when the first N all fail; 0 is never")
    how.add_argument("--halt", metavar="RULE", help="stop by a rule: soon,fail=N  soon,fail=P%%  soon,same=N")
    seen = parser.add_argument_group("what is shown")
    seen.add_argument("--monitor-interval", type=float, metavar="S", default=10, help="seconds between lines; 0 is off")
    seen.add_argument("--progress-every", type=int, metavar="N", help="chunks between progress events of one run")
    add_answer_words(seen)
    return seen


def add_resume_words(group: argparse._ArgumentGroup, *, force: str = "") -> None:
    """Add the words that carry an earlier dispatch on, the same in every lane; `force` is what --force means else."""
    which = group.add_mutually_exclusive_group()
    for flag, what in (("--resume", "all that is not done"), ("--retry-failed", "only what failed")):
        text = f"carry an earlier one on (latest): {what}"
        which.add_argument(flag, metavar="DISPATCH", nargs="?", const="latest", help=text)
    group.add_argument("--force", action="store_true", help=f"resume a folder although somebody changed it{force}")


def add_answer_words(seen: argparse._ArgumentGroup) -> None:
    """Add the words about stdout, which every verb that dispatches understands."""
    seen.add_argument("--events", choices=["-"], help="-: the events on stdout too, as in the folder's events.ndjson")
    seen.add_argument("--json", action="store_true", help="a line of JSON first (launch) and last (done) on stdout")


def run(words: argparse.Namespace) -> int:
    """Carry the plan out and return the exit code of the house."""
    from trailblazer.lanes.embed.request import EmbedRequest

    if words.status is not None:
        from trailblazer.reports.monitoring import print_status

        return print_status(words.status)
    said = {name: value for name, value in vars(words).items() if name not in {"status", "quiet", "retry_failed"}}
    said |= {"resume": words.resume or words.retry_failed, "only_failed": words.retry_failed is not None}
    return carry_out_request(EmbedRequest(**said))


def carry_out_request(request: EmbedRequest) -> int:
    """Carry out, or only preview, what `dispatch` and `run` ask for."""
    from trailblazer.dispatch.story import carry_out
    from trailblazer.events import Console
    from trailblazer.lanes.embed.work import EmbedWork
    from trailblazer.reports.answers import print_answer

    work = EmbedWork(request)
    if work.is_empty:
        if request.json:
            print_answer("run", "failed" if work.unreadable else "unchanged", (), {"runs": 0}, work.unreadable)
        return 6 if work.unreadable else 0
    return work.preview(Console()) if request.dry_run else carry_out(work)
