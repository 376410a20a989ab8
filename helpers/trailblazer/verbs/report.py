"""Show what a dispatch came to: a page for a browser, or a document for machines.

  trailblazer report --open                    the page of the newest dispatch, in the browser
  trailblazer report --format md               for the summary of a CI job; stdout
  trailblazer report --index                   a page over all dispatches

Every dispatch writes its page, report.html, into its folder before the folder is sealed. This verb makes a page of a
dispatch that runs, and the other formats; it never writes into a folder."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("html", "md", "json", "junit", "prometheus")


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the dispatch and its flags."""
    parser.add_argument(
        "dispatch", nargs="?", default="latest", help="a DISPATCH_TS, its folder, or latest (the default)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="html", help="html (the default), md, json, junit or prometheus"
    )
    parser.add_argument("--json", action="store_true", help="the same as --format json; with --index: the history")
    parser.add_argument(
        "--output", "-o", metavar="FILE", help="write to this file, or to stdout with - (html: var/logs/reports/)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--index", action="store_true", help="a page over all dispatches")


def run(words: argparse.Namespace) -> int:
    """Make the report, and print it or where it is."""
    from trailblazer.config import load_config
    from trailblazer.errors import WordsWrong
    from trailblazer.reports import making

    if words.json and words.format not in {"html", "json"}:
        raise WordsWrong(f"--json and --format {words.format} do not go together", "Give one of them.")
    if words.json and words.index:
        from trailblazer.verbs import history

        return history.run(words)
    words.format = "json" if words.json else words.format
    if words.open and (words.format != "html" or words.output == "-"):
        raise WordsWrong("--open opens a page", "Leave out --format and --output -.")
    if words.index and (words.format != "html" or words.dispatch != "latest"):
        raise WordsWrong("--index is a page over all dispatches", "For machines: trailblazer history --json.")
    config = load_config()
    places = config.places
    wanted = making.Wanted(words.format, words.output)
    if words.index:
        page = making.make_index(places, config["gates.park_after"], wanted)
    else:
        page = making.make_report(places, words.dispatch, wanted)
    if page is not None:
        print(page)
        if words.open:
            _open(page)
    return 0


def _open(page: Path) -> None:
    """Open a page in the browser of this machine, and say so where there is none."""
    import webbrowser

    from trailblazer.events import Console

    if not webbrowser.open(page.resolve().as_uri()):
        Console().say("Warning: there is no browser here; open that file elsewhere", "yellow")
