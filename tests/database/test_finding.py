"""Chunks are found by their vectors and by their words, and nothing is found where nothing fits (E12)."""

from __future__ import annotations

import numpy
import pytest
from psycopg.types.json import Jsonb

from trailblazer.database.connection import Connection, copy_rows
from trailblazer.errors import PlanUnusable
from trailblazer.pipeline.ask import Answer, find_answers
from trailblazer.pipeline.embedders import AskedVector
from trailblazer.pipeline.indexes import INDEXED_FROM, build_index, index_name

TEXTS = {
    "a": ("The valve opens at noon.", (1.0, 0.0)),
    "b": ("A gasket seals the pump.", (0.8, 0.6)),
    "c": ("Bread is baked in an oven.", (0.0, 1.0)),
    "d": ("It's a \\ back'slash & 'quote'.", (-1.0, 0.0)),
}


def store(connection: Connection, run_id: str = "r", texts: dict[str, tuple[str, tuple[float, float]]] = TEXTS) -> None:
    """Store a document of chunks, each with its vector, as an embedding does: without words."""
    connection.execute("INSERT INTO documents (run_id, doc_id, content_sha256) VALUES (%s, 'd', '0')", (run_id,))
    for number, (chunk_id, (text, _)) in enumerate(texts.items()):
        connection.execute(
            "INSERT INTO chunks (run_id, chunk_id, doc_id, ord, text_md, char_count, token_count, content_sha256, meta)"
            " VALUES (%s, %s, 'd', %s, %s, 1, 1, '0', %s)",
            (run_id, chunk_id, number, text, Jsonb({"section": "Top"})),
        )
    copy_rows(
        connection,
        "COPY chunk_embeddings (run_id, chunk_id, provider, model, dimension, content_sha256, embedding)"
        " FROM STDIN (FORMAT BINARY)",
        ["text", "text", "text", "text", "int4", "text", "vector"],
        [(run_id, name, "p", "m", 2, "0", numpy.array(vector, "f4")) for name, (_, vector) in texts.items()],
    )


def asked(literal: str = "[1,0]", floor: float = 0.9) -> AskedVector:
    """Return the vector of a question."""
    return AskedVector("p", "m", 2, literal, floor)


def ids(answers: list[Answer]) -> list[str]:
    """Return the ids of the chunks that were found."""
    return [answer.chunk_id for answer in answers]


def test_words_and_vectors_are_fused(connection: Connection) -> None:
    """A chunk that both lists have comes before those that one list has."""
    store(connection)
    build_index(connection, "p", "m", 2)
    assert ["b", "a", "c", "d"] == ids(find_answers(connection, asked(floor=-1), "gaskets of pumps", 4))
    assert ["a", "b", "c", "d"] == ids(find_answers(connection, asked(floor=-1), "gaskets of pumps", 4, "vector"))
    assert ["b"] == ids(find_answers(connection, asked(floor=-1), "gaskets of pumps", 4, "words"))


def test_an_answer_says_how_well_it_fits(connection: Connection) -> None:
    """An answer has the cosine, the share of the question's words, and where it stands."""
    store(connection)
    build_index(connection, "p", "m", 2)
    (answer,) = find_answers(connection, asked("[0.6,0.8]"), "pump oven gasket", 1, "words")
    assert (0.96, 2 / 3) == (round(answer.score, 6), answer.words)
    assert ("", "Top", "", "r", "d") == (answer.title, answer.section, answer.url, answer.run_id, answer.document)


def test_nothing_fits_what_is_far_and_has_other_words(connection: Connection) -> None:
    """Below the floor of its model a chunk fits only with more than half of the words, and when it is not far."""
    store(connection)
    build_index(connection, "p", "m", 2)
    assert [] == find_answers(connection, asked("[0.7,-0.7]"), "flurbish the grommelwick", 4)
    assert ["b"] == ids(find_answers(connection, asked("[0,1]", 2), "pumps and gaskets", 4))
    assert [] == find_answers(connection, asked("[-1,0]", 2), "pumps and gaskets", 4)
    assert [] == find_answers(connection, asked("[0,1]", 2), "pumps and flurbish", 4)


def test_a_model_of_which_nobody_knows_the_floor_always_answers(connection: Connection) -> None:
    """Nobody has measured which similarity is far: what is nearest is shown."""
    store(connection)
    build_index(connection, "p", "m", 2)
    assert ["d", "c", "b", "a"] == ids(find_answers(connection, asked("[-0.9,0.1]", -1), "flurbish", 4))


def test_a_model_without_vectors_is_refused(connection: Connection) -> None:
    """A model that embedded nothing is exit code 4, not an empty answer."""
    store(connection)
    with pytest.raises(PlanUnusable, match="nothing is embedded with p/other"):
        find_answers(connection, AskedVector("p", "other", 2, "[1,0]", -1), "pump", 4)


def test_the_same_text_in_two_runs_is_one_answer(connection: Connection) -> None:
    """A page that stands in two runs is shown once."""
    store(connection)
    store(connection, "s")
    build_index(connection, "p", "m", 2)
    assert ["a", "b", "c", "d"] == ids(find_answers(connection, asked(floor=-1), "valve", 9))


@pytest.mark.parametrize(
    "question", ["", "the of and", "'", "\\", "a & b | !c <-> d:*", "%s %(x)s {x}", "'quote' \\ \"x"]
)
def test_any_question_can_be_asked(connection: Connection, question: str) -> None:
    """Quotes, operators and stop words of a question are words like others, or none."""
    store(connection)
    build_index(connection, "p", "m", 2)
    assert 4 == len(find_answers(connection, asked(floor=-1), question, 9))


def test_what_has_no_words_yet_is_found_by_its_vector(connection: Connection) -> None:
    """A dispatch that was killed early leaves chunks without words: they are found, and judged by their text."""
    store(connection)
    (answer,) = find_answers(connection, asked("[0.8,0.6]"), "pumps and gaskets", 1)
    assert ("b", 1.0) == (answer.chunk_id, answer.words)


def test_the_words_of_all_chunks_are_found_after_a_load(connection: Connection) -> None:
    """Chunks come without words, also those that an earlier version stored; the end of any load finds them all."""
    store(connection)
    waiting = "SELECT count(*) FROM chunks WHERE words IS NULL"
    assert (4,) == connection.execute(waiting).fetchone()
    build_index(connection, "p", "m", 2)
    assert (0,) == connection.execute(waiting).fetchone()


def test_few_vectors_get_no_index(connection: Connection) -> None:
    """A small set is searched exactly; from INDEXED_FROM vectors on an index is made, once."""
    store(connection)
    has = "SELECT count(*) FROM pg_indexes WHERE indexname = %s"
    assert not build_index(connection, "p", "m", 2)
    assert (0,) == connection.execute(has, [index_name("p", "m", 2)]).fetchone()
    connection.execute(
        "INSERT INTO chunk_embeddings (run_id, chunk_id, provider, model, dimension, content_sha256, embedding)"
        " SELECT 'x', n::text, 'p', 'm', 2, '0', '[1,0]' FROM generate_series(1, %s) AS n",
        [INDEXED_FROM],
    )
    assert build_index(connection, "p", "m", 2)
    assert not build_index(connection, "p", "m", 2)


def test_common_words_of_a_large_table_are_left_out(connection: Connection) -> None:
    """Where statistics say that words stand in more than 10,000 chunks, only the rarer ones are searched for."""
    connection.execute("ALTER TABLE chunks SET (autovacuum_enabled = false)")  # it would bring the statistics early
    connection.execute(
        "INSERT INTO chunks (run_id, chunk_id, doc_id, ord, text_md, char_count, token_count, content_sha256, words)"
        " SELECT 'x', n::text, 'd', n, 't', 1, 1, '0', to_tsvector('english', 'common text')"
        " FROM generate_series(2, 11000) AS n"
    )
    store(connection)
    store(connection, "x", {"1": ("common text", (0.0, 1.0))})
    build_index(connection, "p", "m", 2)
    assert ["1", "b"] == sorted(ids(find_answers(connection, asked(floor=-1), "common pump", 4, "words")))
    connection.execute("ANALYZE chunks")
    assert ["b"] == ids(find_answers(connection, asked(floor=-1), "common pump", 4, "words"))
