"""Turn md, txt, rst and html files into runs: var/runs/RID/normalize/normalized.ndjson."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trailblazer.config import Config


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the path, the id of the run and the sample."""
    parser.add_argument(
        "path", nargs="?", metavar="PATH", help="a file, a folder (one run), or a folder of folders (a run each)"
    )
    parser.add_argument("--run", metavar="RID", help="the id of the run; for several runs the prefix: <RID>-<folder>")
    parser.add_argument(
        "--sample", action="store_true", help="make runs of Python's topics and the READMEs of installed packages"
    )
    parser.add_argument("--runs", type=int, metavar="N", help="with --sample: the number of runs for the topics (4)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per run to stdout")


def run(words: argparse.Namespace) -> int:
    """Write the runs. Print for each its size, the files that were left out, and whether it changed."""
    from trailblazer.config import load_config
    from trailblazer.events import Words
    from trailblazer.pipeline.normalize import NormalizeReport, normalize_files, plan_runs
    from trailblazer.pipeline.sample import normalize_sample

    _check(words)
    config = load_config()
    places = config.places
    say = Words().say
    made: list[NormalizeReport] = []

    def tell(report: NormalizeReport) -> None:
        made.append(report)
        state = "" if report.changed else " (unchanged)"
        say(f"normalize: {report.rid}: {report.documents:,} documents, {report.characters:,} characters{state}")
        for what, names in (
            ("left out, without text", report.empty),
            ("bytes that are not text became U+FFFD", report.replaced),
        ):
            if names:
                shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
                say(f"normalize: {report.rid}: {what}: {shown}", "yellow")
        if words.json:
            _print(report)

    if words.sample:
        for report in normalize_sample(places, words.runs or 4):
            tell(report)
    else:
        for source in plan_runs(Path(words.path).expanduser(), words.run):
            tell(normalize_files(places, source))
    _put_in_line(config, {report.rid: report.changed for report in made})
    return 0


def _put_in_line(config: Config, made: dict[str, bool]) -> None:
    """Put what was made in line (B2). The texts are written by then: ServiceDown says that the table lacks them."""
    from trailblazer.database.backfill import put_in_line
    from trailblazer.database.connection import answering, connect
    from trailblazer.database.vitals import base_of
    from trailblazer.errors import ServiceDown

    if not config["db.url"] and not (base_of(config.places) / "data").is_dir():
        return  # no database was ever made here, so there is no row to be brought up to date
    try:
        with answering(), connect(config) as connection:
            for rid, is_changed in made.items():
                put_in_line(connection, config.places, rid, is_changed=is_changed)
    except ServiceDown as trouble:
        what = f"the texts are written, but the table of runs was not told: {trouble.what}"
        raise ServiceDown(what, "Run the same command again once the database answers.") from trouble


def _check(words: argparse.Namespace) -> None:
    from trailblazer.errors import WordsWrong
    from trailblazer.paths import check_id

    if words.sample == (words.path is not None):
        raise WordsWrong("name either a PATH or --sample", "trailblazer normalize docs/ --run docs")
    if words.runs is not None and (not words.sample or not 1 <= words.runs <= 1000):
        raise WordsWrong("--runs goes with --sample and is 1 to 1000", "trailblazer normalize --sample --runs 8")
    if words.run is not None:
        check_id(words.run)
        if words.sample:
            raise WordsWrong("the sample names its own runs", "Leave out --run.")


def _print(report: object) -> None:
    import json
    from dataclasses import asdict, is_dataclass

    if is_dataclass(report) and not isinstance(report, type):
        print(json.dumps(asdict(report), ensure_ascii=False))
