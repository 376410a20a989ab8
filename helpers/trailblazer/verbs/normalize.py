"""Turn md, txt, rst and html files into runs: var/runs/RID/normalize/normalized.ndjson.

trailblazer normalize docs/ --run handbook
trailblazer normalize --sample"""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trailblazer.config import Config
    from trailblazer.paths import Places
    from trailblazer.pipeline.normalize import NormalizeReport


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the path, the id of the run and the sample."""
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="a file, a folder (one run), or a folder of folders (a run each)"
    )
    parser.add_argument("--run", metavar="RID", help="the id of the run; for several runs the prefix: <RID>-<folder>")
    parser.add_argument("--source", metavar="S", help="the source of the documents, such as confluence (files)")
    parser.add_argument(
        "--sample", action="store_true", help="make runs of Python's topics and the READMEs of installed packages"
    )
    parser.add_argument("--runs", type=int, metavar="N", help="with --sample: the number of runs for the topics (4)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per run to stdout")


def run(words: argparse.Namespace) -> int:
    """Write the runs. Print for each its size, the files that were left out, and whether it changed."""
    from trailblazer.config import load_config
    from trailblazer.events import Console

    _check(words)
    config = load_config()
    say = Console().say
    reports: list[NormalizeReport] = []
    for report in _reports(words, config.places):
        reports.append(report)
        for line, colour in _lines_of(report):
            say(line, colour)
        if words.json:
            _print(report)
    _update_table(config, reports, say)
    return 0


def _reports(words: argparse.Namespace, places: Places) -> Iterator[NormalizeReport]:
    from trailblazer.pipeline.normalize import normalize_files, plan_runs
    from trailblazer.pipeline.sample import normalize_sample

    if words.sample:
        yield from normalize_sample(places, words.runs or 4, words.source)
        return
    from pathlib import Path

    for run in plan_runs(Path(words.path), words.run):
        yield normalize_files(places, run, words.source)


def _lines_of(report: NormalizeReport) -> Iterator[tuple[str, str]]:
    """Yield the lines about a run, each with its colour."""
    from trailblazer.plain import counted

    state = "" if report.changed else " (unchanged)"
    size = f"{counted(report.documents, 'document')}, {counted(report.characters, 'character')}"
    yield f"normalize: {report.rid}: {size}{state}", ""
    for what, names in (
        ("left out, without text", report.empty),
        ("bytes that are not text became U+FFFD", report.replaced),
    ):
        if names:
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            yield f"normalize: {report.rid}: {what}: {shown}", "yellow"


def _update_table(config: Config, reports: Sequence[NormalizeReport], say: Callable[[str, str], None]) -> None:
    """Put the runs into the table of runs, where they wait for chunking (B2); a database that is away is a warning."""
    from trailblazer.database.backfill import record_normalized
    from trailblazer.database.connection import answering, connect
    from trailblazer.errors import ServiceDown

    try:
        with answering(), connect(config) as connection:
            for report in reports:
                record_normalized(connection, config.places, report.rid, is_changed=report.changed)
    except ServiceDown as trouble:
        say(f"normalize: warning: the table of runs is not up to date: {trouble.what}", "yellow")
        say("normalize: `trailblazer runs backfill` adds new runs, the same command again also changed ones", "yellow")


def _check(words: argparse.Namespace) -> None:
    from trailblazer.errors import WordsWrong
    from trailblazer.paths import check_id
    from trailblazer.pipeline.documents import is_source

    if words.sample == (words.path is not None):
        raise WordsWrong("name either a PATH or --sample", "trailblazer normalize docs/ --run docs")
    if words.runs is not None and (not words.sample or not 1 <= words.runs <= 1000):
        raise WordsWrong("--runs goes with --sample and is 1 to 1000", "trailblazer normalize --sample --runs 8")
    if words.source is not None and not is_source(words.source):
        raise WordsWrong(f"{words.source!r} is not a source", "A source is 1 to 100 printable characters.")
    if words.run is not None:
        check_id(words.run)
        if words.sample:
            raise WordsWrong("the sample names its own runs", "Leave out --run.")


def _print(report: NormalizeReport) -> None:
    from dataclasses import asdict

    from trailblazer.reports.answers import print_document

    document = asdict(report) | {"empty": list(report.empty), "replaced": list(report.replaced)}
    print_document("normalized_run", document, is_line=True)
