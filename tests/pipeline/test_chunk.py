"""Chunks keep the cap, cover the text, know their place, and are the same every time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailblazer import schemas
from trailblazer.config import Config, load_config
from trailblazer.errors import ConfigWrong, DocumentInvalid, PlanUnusable
from trailblazer.pipeline.chunk import ASSURANCE, chunk_run
from trailblazer.pipeline.chunk_file import CHUNKS
from trailblazer.pipeline.documents import ENRICHED, NORMALIZED
from trailblazer.pipeline.sections import Sections, images_in, kind_of
from trailblazer.pipeline.splitting import Splitter
from trailblazer.pipeline.tokens import load_tokens

TABLES = ("cl100k_base", "o200k_base")
WORDS = st.sampled_from(
    [
        *(
            "word",
            "Word's",
            "antidisestablishmentarianism",
            "déjà",
            "日本語",
            "🙂🏽",
            "don't",
            "3.14159",
            "x_y",
            "https://x.y/z",
        ),
        *(
            "# Heading\n",
            "\n\n## Part\n\n",
            "- item\n",
            "| a | b |\n",
            "```\ncode\n```\n",
            "> quote\n",
            "<|endoftext|>",
        ),
        *(" ", "  ", "\n", "\n\n", "\t", ". ", ", ", "…", "—", "\r\n", "é", "a" * 200, "!" * 90, " " * 40),
    ]
)
TEXTS = st.one_of(st.text(max_size=400), st.lists(WORDS, max_size=150).map("".join))


def configured(folder: Path, **chunk: Any) -> Config:
    """Return the configuration of a folder with these chunk.* keys."""
    return load_config({f"chunk.{key}": value for key, value in chunk.items()}, folder)


def write_run(folder: Path, rid: str, *records: dict[str, Any], to: Path = NORMALIZED) -> Path:
    """Write documents as a run and return its file."""
    file = folder / "var/runs" / rid / to
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def chunks_of(folder: Path, rid: str) -> list[dict[str, Any]]:
    """Return the chunks of a run."""
    return [json.loads(line) for line in (folder / "var/runs" / rid / CHUNKS).read_text().splitlines()]


def visible(text: str) -> set[int]:
    """Return the places of a text that are not white space."""
    return {place for place, character in enumerate(text) if not character.isspace()}


@pytest.mark.parametrize("table", TABLES)
@settings(deadline=None)
@given(text=TEXTS, cap=st.integers(16, 60), overlap=st.integers(0, 12))
def test_pieces_keep_the_cap_and_cover_the_text(table: str, text: str, cap: int, overlap: int) -> None:
    """No piece is over the cap, its count is exact, every visible character is in a piece, in order (E12)."""
    text = text.encode("utf-8", "replace").decode()
    tokens = load_tokens(table)
    _, pieces = Splitter(tokens, cap, overlap).split(text)
    counts = [len(tokens._tokenizer.encode_ordinary(text[piece.start : piece.end])) for piece in pieces]
    assert counts == [piece.tokens for piece in pieces]
    assert all(0 < count <= cap for count in counts)
    covered = {place for piece in pieces for place in range(piece.start, piece.end)}
    assert set() == visible(text) - covered
    assert sorted(pieces, key=lambda piece: piece.start) == pieces


@pytest.mark.parametrize("table", TABLES)
@settings(deadline=None)
@given(text=TEXTS, cap=st.integers(16, 60))
def test_token_offsets_are_those_of_the_whole_text(table: str, text: str, cap: int) -> None:
    """token_start and token_end enclose exactly the tokens of the whole text that a piece touches."""
    text = text.encode("utf-8", "replace").decode()
    tokens = load_tokens(table)
    spelled = tokens._tokenizer.encode_ordinary(text)
    raw = [tokens._tokenizer.decode_token_bytes(token) for token in spelled]
    assert text.encode() == b"".join(raw)
    for piece in Splitter(tokens, cap, 0).split(text)[1]:
        first, last = len(text[: piece.start].encode()), len(text[: piece.end].encode())
        ends = [sum(map(len, raw[: number + 1])) for number in range(len(raw))]
        touched = [n for n, end in enumerate(ends) if end > first and end - len(raw[n]) < last]
        assert piece.token_start <= touched[0]
        assert touched[-1] < piece.token_end
        assert piece.token_end - piece.token_start <= len(touched) + 4  # a character of several tokens is one place


@settings(deadline=None)
@given(text=TEXTS)
def test_the_same_text_is_cut_the_same_way(text: str) -> None:
    """A used splitter cuts as a new one does: nothing is left over from the text before."""
    text = text.encode("utf-8", "replace").decode()
    used = Splitter(load_tokens("cl100k_base"), 20, 5)
    used.split("something else before\n\n" * 40)
    assert Splitter(load_tokens("cl100k_base"), 20, 5).split(text) == used.split(text)


def test_chunks_say_where_they_come_from(tmp_path: Path) -> None:
    """Every chunk carries document, title, url, source, section, offsets and digest, and keeps its schema (E12, G6)."""
    text = "# Top\n\nIntro " + "one two three. " * 40 + "\n\n## Part\n\n" + "four five six. " * 40
    record = {"id": "a/b.md", "text_md": text, "title": 'Ti"tle', "url": "https://x.invalid", "labels": ["l"]}
    write_run(tmp_path, "r", {**record, "source_system": "confluence", "space_key": "K"})
    config = configured(tmp_path, max_tokens=64, overlap=8)
    report = chunk_run(config.places, config, "r")
    chunks = chunks_of(tmp_path, "r")
    assert (1, len(chunks), True) == (report.documents, report.chunks, report.changed)
    assert [f"a/b.md:{number:04d}" for number in range(len(chunks))] == [chunk["chunk_id"] for chunk in chunks]
    for chunk in chunks:
        schemas.check("chunk", chunk, chunk["chunk_id"])
        assert text[chunk["char_start"] : chunk["char_end"]] == chunk["text_md"]
        assert hashlib.sha256(chunk["text_md"].encode()).hexdigest() == chunk["content_sha256"]
        assert ('Ti"tle', "https://x.invalid", "confluence", ["l"]) == (
            *(chunk["title"], chunk["url"], chunk["source_system"], chunk["labels"]),
        )
    assert {"id": None, "key": "K"} == chunks[0]["space"]
    assert ["Top", "Top > Part"] == [chunks[0]["meta"]["section"], chunks[-1]["meta"]["section"]]


def test_chunking_again_changes_nothing(tmp_path: Path) -> None:
    """Unchanged documents and settings leave the files as they are; a change of either cuts again (E7)."""
    write_run(tmp_path, "r", {"id": "a", "text_md": "one two three " * 50})
    config = configured(tmp_path, max_tokens=32, overlap=4)
    chunk_run(config.places, config, "r")
    folder = tmp_path / "var/runs/r"
    before = (folder / CHUNKS).read_bytes(), (folder / ASSURANCE).read_bytes()
    assert not chunk_run(config.places, config, "r").changed
    assert before == ((folder / CHUNKS).read_bytes(), (folder / ASSURANCE).read_bytes())
    assert chunk_run(config.places, config, "r", force=True).changed
    assert before[0] == (folder / CHUNKS).read_bytes()
    other = configured(tmp_path, max_tokens=33, overlap=4)
    assert chunk_run(other.places, other, "r").changed
    write_run(tmp_path, "r", {"id": "a", "text_md": "one two thre3 " * 50})
    assert chunk_run(other.places, other, "r").changed


def test_damaged_chunks_are_cut_again(tmp_path: Path) -> None:
    """Chunks that do not fit chunk_assurance.json, as after a crash between the two files, are made again."""
    write_run(tmp_path, "r", {"id": "a", "text_md": "text"})
    config = configured(tmp_path)
    chunk_run(config.places, config, "r")
    file = tmp_path / "var/runs/r" / CHUNKS
    good = file.read_bytes()
    file.write_bytes(good[:-5])
    assert chunk_run(config.places, config, "r").changed
    assert good == file.read_bytes()


def test_the_enriched_documents_go_first(tmp_path: Path) -> None:
    """A run with an enrich step is chunked from enriched.jsonl, and its hint may lower the cap of a document."""
    write_run(tmp_path, "r", {"id": "a", "text_md": "plain"})
    enriched = {"id": "a", "text_md": "rich " * 60, "chunk_hints": {"maxTokens": 20}, "quality_score": 0.5}
    write_run(tmp_path, "r", enriched, to=ENRICHED)
    config = configured(tmp_path, max_tokens=64, overlap=0)
    chunk_run(config.places, config, "r")
    chunks = chunks_of(tmp_path, "r")
    assert "rich" == chunks[0]["text_md"][:4]
    assert max(chunk["token_count"] for chunk in chunks) <= 20
    assert "enrich/enriched.jsonl" == schemas.read_json(tmp_path / "var/runs/r" / ASSURANCE)["source"]["file"]


def test_blank_documents_and_unstorable_characters(tmp_path: Path) -> None:
    """A blank document has no chunk and is counted; NUL and lone surrogates, which no database takes, are replaced."""
    write_run(tmp_path, "r", {"id": "a", "text_md": " \n"}, {"id": "b", "text_md": "x\0y\ud800z"})
    config = configured(tmp_path)
    report = chunk_run(config.places, config, "r")
    assert (2, 1, 1) == (report.documents, report.chunks, report.blank)
    assert ["x\N{REPLACEMENT CHARACTER}y\N{REPLACEMENT CHARACTER}z"] == [
        chunk["text_md"] for chunk in chunks_of(tmp_path, "r")
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": "a", "text_', r"normalized\.ndjson:2 is not JSON"),
        ("[1]", r"normalized\.ndjson:2 is not a JSON object"),
        ('{"text_md": "x"}', "document 2 has no usable id"),
        ('{"id": "b"}', r"document 2 \(b\) has no text_md"),
        ('{"id": "first", "text_md": "x"}', "document 2 repeats the id 'first'"),
    ],
)
def test_documents_that_cannot_be_read_are_refused(tmp_path: Path, line: str, message: str) -> None:
    """A line that is not a document is refused with file and place, and no chunks are published."""
    file = write_run(tmp_path, "r", {"id": "first", "text_md": "x"})
    file.write_text(file.read_text() + line)
    config = configured(tmp_path)
    with pytest.raises(DocumentInvalid, match=message):
        chunk_run(config.places, config, "r")
    assert [] == list((tmp_path / "var/runs/r/chunk").iterdir())


def test_wrong_runs_and_settings_are_refused(tmp_path: Path) -> None:
    """A missing run is exit code 4, a run without documents 3, an overlap as large as the cap 3."""
    config = configured(tmp_path, max_tokens=16, overlap=16)
    with pytest.raises(PlanUnusable, match="there is no run r"):
        chunk_run(config.places, config, "r")
    (tmp_path / "var/runs/r").mkdir(parents=True)
    with pytest.raises(DocumentInvalid, match=r"has no normalize/normalized\.ndjson"):
        chunk_run(config.places, config, "r")
    write_run(tmp_path, "r", {"id": "a", "text_md": "x"})
    with pytest.raises(ConfigWrong, match="no room is left"):
        chunk_run(config.places, config, "r")


def test_sections_follow_headings_but_not_code() -> None:
    """A place has the headings above it; a line that looks like a heading inside fenced code is not one."""
    text = "# A\n\nx\n\n```\n# no\n```\n\n## B ##\n\ny\n\n# C\nz"
    sections = Sections(text)
    assert ["A", "A", "A > B", "C"] == [sections.at(text.index(mark)) for mark in ("x", "no", "y", "z")]


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("```py\nx = 1\n```", "code"),
        ("```py\nx = 1\n```\ntext", "text"),
        ("```py\nx = 1", "code"),
        ("| a | b |\n| --- | --- |\n| c | d |", "table"),
        ("| a | b |\nand text", "text"),
        ("text", "text"),
    ],
)
def test_the_kind_of_a_part(part: str, kind: str) -> None:
    """A part that is all code or all table says so."""
    assert kind == kind_of(part)


def test_images_are_listed_once() -> None:
    """The images of a part are listed once, in order."""
    assert ["b.png", "a.png"] == images_in('![x](b.png) ![y](a.png "title") ![z](b.png) [no](c.png)')
