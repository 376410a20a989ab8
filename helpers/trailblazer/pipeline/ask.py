"""Which stored chunks answer a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trailblazer.database.connection import statement
from trailblazer.errors import PlanUnusable
from trailblazer.pipeline.indexes import quoted

if TYPE_CHECKING:
    from trailblazer.database.connection import Connection
    from trailblazer.pipeline.embedders import AskedVector

MOST_ANSWERS = 1000  # an index yields about as many candidates
BY = {"both": ["vector", "words"], "vector": ["vector"], "words": ["words"]}
LEAST_CANDIDATES = 100
MORE_THAN = 0.5  # of the words
NOT_FAR = 0.25  # of the floor


@dataclass(frozen=True, slots=True)
class Answer:
    """A chunk that answers a question.

    `score` is the cosine similarity of the vectors, from -1 to 1. `words` is the share of the question's words that
    the chunk has, from 0 to 1. `document` is the id of its document in the run.
    """

    score: float
    words: float
    title: str
    section: str
    url: str
    run_id: str
    chunk_id: str
    document: str
    text: str


def find_answers(
    connection: Connection, asked: AskedVector, question: str, most: int, by: str = "both"
) -> list[Answer]:
    """Return at most `most` chunks that fit the question, the best first. The same text in two runs is one answer.

    `by` is a key of BY: which of the two lists, the nearest vectors and the best words, are fused. No answer means that
    nothing fits. A model without any vector is refused with PlanUnusable.
    """
    query = (
        statement("find_chunks")
        .replace("__dimension__", str(int(asked.dimension)))
        .replace("'__provider__'", quoted(asked.provider))
        .replace("'__model__'", quoted(asked.model))
    )
    candidates = max(LEAST_CANDIDATES, 8 * most)
    given = {"question": question, "vector": asked.literal, "candidates": candidates, "lists": BY[by]}
    with connection.transaction():
        connection.execute(f"SET LOCAL hnsw.ef_search = {min(1000, 2 * candidates)}; SET LOCAL jit = off")
        rows = connection.execute(query, given).fetchall()
    if not rows:
        key = {"provider": asked.provider, "model": asked.model, "dimension": asked.dimension, "many": 1}
        if connection.execute(statement("has_vectors"), key).fetchone() != (True,):
            raise PlanUnusable(
                f"nothing is embedded with {asked.provider}/{asked.model}", "Embed some runs first: trailblazer run."
            )
    found = (Answer(*row) for row in rows)
    answers: dict[str, Answer] = {}
    for answer in found:
        if _fits(answer, asked.floor):
            answers.setdefault(answer.text, answer)
    return list(answers.values())[:most]


def _fits(answer: Answer, floor: float) -> bool:
    """Return whether a chunk is near to the question, or has more than half of its words and is not far from it.

    benchmarks/ask.py measures on questions that the manual does and does not answer how often this is right.
    """
    return answer.score >= floor or (answer.words > MORE_THAN and answer.score >= NOT_FAR * floor)
