"""Print what an item of a dispatch wrote: its newest attempt's stdout, or stderr.

  trailblazer log 'task_17'                       of the newest dispatch; by id, number or task_N
  trailblazer log 'task_17' --stderr --follow     until the attempt has ended
  trailblazer log 20261121T003642Z 'task_17' --attempt 1

On a terminal control characters are made visible; elsewhere the bytes come as they are."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the item and its flags."""
    parser.add_argument(
        "words", nargs="+", metavar="[DISPATCH] ITEM", help="a dispatch (default: latest), and an item of it"
    )
    parser.add_argument("--follow", action="store_true", help="go on until the attempt has ended")
    parser.add_argument("--stderr", action="store_true", help="what it wrote to stderr")
    parser.add_argument("--json", action="store_true", help="one JSON object; with --follow once the attempt has ended")
    parser.add_argument("--attempt", type=int, metavar="N", help="this attempt (default: the newest)")


def run(words: argparse.Namespace) -> int:
    """Print the output."""
    import codecs
    import sys

    from trailblazer.config import load_config
    from trailblazer.errors import WordsWrong
    from trailblazer.paths import expanded
    from trailblazer.plain import plain
    from trailblazer.record.folder import find_folder
    from trailblazer.reports.answers import print_document
    from trailblazer.reports.item_log import find_output

    if len(words.words) > 2:
        raise WordsWrong("too many words", "Say: trailblazer log [DISPATCH] ITEM")
    dispatch, item = words.words if len(words.words) == 2 else ("latest", words.words[0])
    folder = find_folder(load_config().places, expanded(dispatch))
    stream = "stderr" if words.stderr else "stdout"
    output = find_output(folder, item, stream, words.attempt, follow=words.follow)
    if words.json:
        pieces = b"".join(output.pieces(follow=words.follow))
        print_document("item_log", {**output.document(), "text": pieces.decode("utf-8", "replace")})
        return 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    is_terminal = sys.stdout.isatty()
    has_printed = False
    for piece in output.pieces(follow=words.follow):
        has_printed = True
        if is_terminal:
            sys.stdout.write(plain(decoder.decode(piece)))
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    if not has_printed:
        print(f"log: it wrote nothing to {stream}", file=sys.stderr)
    return 0
