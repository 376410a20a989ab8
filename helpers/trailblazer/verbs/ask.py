"""Find the chunks that answer a question: by the vectors of the configured provider and model, and by words.

  trailblazer ask "how do I catch an exception" --most 3

The words are the question: a bare name=value is text here, not a flag. Each answer shows how near it is (the cosine
of the two vectors, 1 at most) and the share of the question's words that it has. docs/ask.md tells how it searches."""

from __future__ import annotations

import argparse

from trailblazer.verbs.embed import add_embedder_words, embedder_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.pipeline.ask import Answer

FREE_TEXT = True
INDENT = "       "
SHOWN = 320  # characters of an answer's text
WIDEST = 120  # a longer line is hard to read


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the question and the settings of the search."""
    parser.add_argument("question", nargs="+", help="the question, in quotes or not")
    parser.add_argument("--most", type=int, default=5, metavar="N", help="at most N answers, 1 to 1000 (5)")
    parser.add_argument(
        "--by", choices=["both", "vector", "words"], default="both", help="search by vector, by words, or both (both)"
    )
    add_embedder_words(parser)
    parser.add_argument(
        "--json", action="store_true", help="print the answers as JSON: a list, empty when nothing fits"
    )


def run(words: argparse.Namespace) -> int:
    """Print the answers, best first; nothing on stdout, and a line on stderr, when nothing fits."""
    from trailblazer.config import load_config
    from trailblazer.errors import WordsWrong
    from trailblazer.plain import is_text

    question = " ".join(words.question).strip()
    if not question:
        raise WordsWrong("a question is needed", 'trailblazer ask "how do I …"')
    if not is_text(question):
        raise WordsWrong("the question is not text in UTF-8", "Check the encoding of the terminal or script.")
    from trailblazer.pipeline.ask import MOST_ANSWERS, find_answers

    if not 1 <= words.most <= MOST_ANSWERS:
        raise WordsWrong(f"--most is 1 to {MOST_ANSWERS}, not {words.most}", "trailblazer ask --most 10 QUESTION")
    config = load_config(embedder_flags(words))
    from trailblazer.database.connection import answering, connect
    from trailblazer.pipeline.embedders import vector_of

    asked = vector_of(config, question)
    with answering(), connect(config) as connection:
        answers = find_answers(connection, asked, question, words.most, words.by)
    if words.json:
        _print_json(answers)
    elif answers:
        _print(answers)
    else:
        _say_nothing_fits()
    return 0


def _print_json(answers: list[Answer]) -> None:
    import dataclasses

    from trailblazer.reports.answers import print_document

    print_document("answers", [dataclasses.asdict(answer) for answer in answers])


def _print(answers: list[Answer]) -> None:
    """Print answers for people, wrapped on words at the width of the terminal."""
    import shutil
    import textwrap

    from trailblazer.plain import one_line

    width = min(WIDEST, max(20, shutil.get_terminal_size().columns))
    for answer in answers:
        place = answer.section if answer.section.startswith(answer.title) else f"{answer.title} > {answer.section}"
        origin = f"[{answer.run_id} {one_line(answer.chunk_id, 120)}]"
        lines = [
            f"{answer.score:.3f}  {answer.words:4.0%}  {one_line(place.removesuffix(' > '), 240)}",
            f"{one_line(answer.url, 160)}  {origin}" if answer.url else origin,
            one_line(answer.text, SHOWN),
        ]
        for number, line in enumerate(lines):
            print(
                textwrap.fill(
                    line,
                    width,
                    initial_indent=INDENT if number else "",
                    subsequent_indent=INDENT,
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
        print()


def _say_nothing_fits() -> None:
    from trailblazer.streams import is_hushed, tell

    if not is_hushed():
        tell("ask: nothing fits: no chunk is near to the question or has more than half of its words\n")
