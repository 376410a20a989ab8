"""What `ask` prints: answers for people, answers as JSON, or that nothing fits (E12)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import Project
from trailblazer.schemas import check

PAGES = {
    "valve.html": "<title>The valve</title><nav>Home</nav><h1>Valve<a href='#v'>¶</a></h1><p>The valve opens at noon "
    "and closes when the pressure of the boiler falls below the pressure of the line. " * 3,
    "bread.html": "<title>Bread</title><h1>Bread</h1><p>Knead the dough, let it rest, and bake it in a hot oven.",
}


@pytest.fixture
def asked(make_project: Callable[[EmbeddingServer | None], Project]) -> Project:
    """A project in which two pages are embedded by the local embedder."""
    project = make_project(None)
    (project.folder / "pages").mkdir()
    for name, text in PAGES.items():
        (project.folder / "pages" / name).write_text(text)
    for words in (["normalize", "pages", "--run", "pages"], ["run", "runs=pages"]):
        done = project.run(*words)
        assert 0 == done.code, done.err
    return project


def test_lines_are_wrapped_on_words(asked: Project) -> None:
    """No line is wider than the terminal, no word or address is cut, what belongs to an answer is indented."""
    done = asked.run("ask", "when does the valve open?", "--most", "1", COLUMNS="60")
    assert 0 == done.code, done.err
    first, *rest = done.out.rstrip().splitlines()
    assert first.endswith("Valve")
    assert all(line.startswith("       ") and (len(line) <= 60 or "://" in line) for line in rest)
    assert set("".join(rest).split()) >= {"pressure", "boiler"}
    assert "Home" not in done.out


def test_json_is_a_list_that_has_a_schema(asked: Project) -> None:
    """`--json` prints answers by their schema, the best first."""
    done = asked.run("ask", "when does the valve open?", "--json")
    answers = json.loads(done.out)
    check("answers", answers, "stdout")
    assert ("pages", "valve.html", 1.0) == tuple(answers[0][name] for name in ("run_id", "document", "words"))


def test_nothing_fits_is_an_answer(asked: Project) -> None:
    """A question about something else has no answers: a line on stderr, an empty list, exit code 0."""
    done = asked.run("ask", "flurbish grommelwick zantiply")
    assert (0, "") == (done.code, done.out)
    assert done.err.startswith("ask: nothing fits")
    assert [] == json.loads(asked.run("ask", "flurbish grommelwick", "--json").out)


def test_each_list_can_be_searched_alone(asked: Project) -> None:
    """`--by words` needs a word of the question, `--by vector` does not."""
    for by, most in (("vector", 1), ("words", 1), ("both", 1)):
        done = asked.run("ask", "the valve opens at noon", "--by", by, "--json", "--most", str(most))
        assert ["valve.html"] == [answer["document"] for answer in json.loads(done.out)]
