"""Find the chunks that answer a question. The vectors of the configured provider and model are searched.

  trailblazer ask "how do I catch an exception" --most 3

The words are the question: a bare name=value is text here, not a flag."""

from __future__ import annotations

import argparse

from trailblazer.verbs.embed import add_embedder_words, embedder_flags

FREE_TEXT = True


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the question and the settings of the search."""
    parser.add_argument("question", nargs="+", help="the question, in quotes or not")
    parser.add_argument("--most", type=int, default=5, metavar="N", help="at most N answers, 1 to 1000 (5)")
    add_embedder_words(parser)
    parser.add_argument("--json", action="store_true", help="print the answers as JSON")


def run(words: argparse.Namespace) -> int:
    """Print the answers, best first: score, document and section, address and run, and the text."""
    import dataclasses
    import json

    from trailblazer.config import load_config
    from trailblazer.database.connection import answering, connect
    from trailblazer.errors import PlanUnusable, WordsWrong
    from trailblazer.pipeline.ask import MOST_ANSWERS, find_answers
    from trailblazer.pipeline.documents import is_text
    from trailblazer.pipeline.embedders import load_embedder
    from trailblazer.plain import one_line

    question = " ".join(words.question).strip()
    if not question:
        raise WordsWrong("a question is needed", 'trailblazer ask "how do I …"')
    if not is_text(question):
        raise WordsWrong("the question is not text in UTF-8", "Check the encoding of the terminal or script.")
    if not 1 <= words.most <= MOST_ANSWERS:
        raise WordsWrong(f"--most is 1 to {MOST_ANSWERS}, not {words.most}", "trailblazer ask --most 10 QUESTION")
    config = load_config(embedder_flags(words))
    embedder = load_embedder(config)
    with answering(), connect(config) as connection:
        answers = find_answers(connection, embedder, question, words.most)
    if not answers:
        raise PlanUnusable(
            f"nothing is embedded with {embedder.provider}/{embedder.model}", "Embed some runs first: trailblazer run."
        )
    if words.json:
        print(json.dumps([dataclasses.asdict(answer) for answer in answers], ensure_ascii=False, indent=2))
        return 0
    for answer in answers:
        place = answer.section if answer.section.startswith(answer.title) else f"{answer.title} > {answer.section}"
        print(f"{answer.score:.3f}  {one_line(place.removesuffix(' > '), 240)}")
        print(
            f"       {one_line(answer.url or answer.run_id, 120)}  [{answer.run_id} {one_line(answer.chunk_id, 120)}]"
        )
        print(f"       {one_line(answer.text, 240)}\n")
    return 0
