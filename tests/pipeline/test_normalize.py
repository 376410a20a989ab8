"""Files become runs: which runs, which documents, and the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trailblazer import schemas
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.paths import Places
from trailblazer.pipeline.documents import NORMALIZED, read_documents
from trailblazer.pipeline.normalize import NormalizeReport, normalize_files, plan_runs
from trailblazer.pipeline.sample import normalize_sample


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Return the places of an empty project."""
    return Places(tmp_path, tmp_path / "var")


def write(file: Path, content: str | bytes) -> Path:
    """Write a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def normalize(places: Places, path: Path, rid: str | None = None) -> list[NormalizeReport]:
    """Normalise all runs of a path."""
    return [normalize_files(places, source) for source in plan_runs(path, rid)]


def lines(places: Places, rid: str) -> list[dict[str, Any]]:
    """Return the records of a run."""
    return [json.loads(line) for line in (places.run(rid) / NORMALIZED).read_text().splitlines()]


def test_a_folder_with_documents_is_one_run_in_the_order_of_ids(places: Places, tmp_path: Path) -> None:
    """A folder that holds documents is one run with all below it, sorted by relative path (E12, G3)."""
    for name in ("b.md", "a.txt", "deep/er/c.rst", ".hidden/x.md", "picture.png"):
        write(tmp_path / "in" / name, "Some text")
    reports = normalize(places, tmp_path / "in", "docs")
    assert [("docs", 3, True)] == [(report.rid, report.documents, report.changed) for report in reports]
    assert ["a.txt", "b.md", "deep/er/c.rst"] == [record["id"] for record in lines(places, "docs")]


def test_a_folder_of_folders_becomes_a_run_each(places: Places, tmp_path: Path) -> None:
    """Folders without documents beside them become runs named after them, under a prefix if one is given (E12)."""
    write(tmp_path / "in/guide/one.md", "# One")
    write(tmp_path / "in/Über uns/two.md", "# Two")
    assert ["guide", "Uber-uns"] == [report.rid for report in normalize(places, tmp_path / "in")]
    assert ["x-guide", "x-Uber-uns"] == [report.rid for report in normalize(places, tmp_path / "in", "x")]


def test_two_folders_with_the_same_run_id_are_refused(tmp_path: Path) -> None:
    """Two folders whose names become the same run id are refused, not mixed."""
    write(tmp_path / "in/a b/one.md", "# One")
    write(tmp_path / "in/a-b/two.md", "# Two")
    with pytest.raises(WordsWrong, match="would both be the run a-b"):
        plan_runs(tmp_path / "in", None)


def test_one_file_is_a_run(places: Places, tmp_path: Path) -> None:
    """A single file is a run named after it."""
    file = write(tmp_path / "manual.html", "<title>The manual</title><p>Text</p>")
    assert ["manual"] == [report.rid for report in normalize(places, file)]
    assert ["The manual"] == [record["title"] for record in lines(places, "manual")]


@pytest.mark.parametrize("name", ["missing", "empty", "image.png"])
def test_a_path_without_text_is_refused(tmp_path: Path, name: str) -> None:
    """A path that is missing, has no text files or is not a text file is refused with exit code 4."""
    (tmp_path / "empty").mkdir()
    write(tmp_path / "image.png", b"\x89PNG")
    with pytest.raises(PlanUnusable):
        plan_runs(tmp_path / name, None)


def test_the_same_input_leaves_the_same_bytes(places: Places, tmp_path: Path) -> None:
    """Normalising again leaves the file as it is and says so; a changed text changes it (E7)."""
    file = write(tmp_path / "in/a.md", "# A\n\nText")
    normalize(places, tmp_path / "in", "docs")
    target = places.run("docs") / NORMALIZED
    before = (target.read_bytes(), target.stat().st_ino)
    assert [False] == [report.changed for report in normalize(places, tmp_path / "in", "docs")]
    assert before == (target.read_bytes(), target.stat().st_ino)
    file.write_text("# A\n\nOther")
    assert [True] == [report.changed for report in normalize(places, tmp_path / "in", "docs")]
    assert [target.name] == [path.name for path in target.parent.iterdir()]


def test_empty_documents_are_left_out_and_named(places: Places, tmp_path: Path) -> None:
    """A document without text is left out and named; a run of only such documents is refused and leaves no file."""
    write(tmp_path / "in/a.md", "Text")
    write(tmp_path / "in/b.md", " \n\n")
    write(tmp_path / "in/c.html", "<script>var x</script>")
    (report,) = normalize(places, tmp_path / "in", "docs")
    assert (1, ("b.md", "c.html")) == (report.documents, report.empty)
    write(tmp_path / "blank/a.md", "\n")
    with pytest.raises(PlanUnusable, match="would have no document"):
        normalize(places, tmp_path / "blank", "blank")
    assert not (places.run("blank") / NORMALIZED).exists()


def test_bytes_that_are_not_text_are_replaced_and_counted(places: Places, tmp_path: Path) -> None:
    """Undecodable bytes, and NUL which no database takes, become U+FFFD; a U+FFFD of the author is not counted."""
    write(tmp_path / "in/a.md", b"caf\xe9 \x00 ok")
    write(tmp_path / "in/b.md", "the author's own \N{REPLACEMENT CHARACTER}")
    (report,) = normalize(places, tmp_path / "in", "docs")
    assert ("a.md (2)",) == report.replaced
    assert "caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER} ok" == lines(places, "docs")[0]["text_md"]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.txt", b"\xef\xbb\xbfgr\xc3\xbcn\r\nblau"),
        ("a.txt", "\ufeffgrün\rblau".encode("utf-16-le")),
        ("a.htm", b'<meta charset="latin-1"><pre>gr\xfcn\nblau</pre>'),
    ],
)
def test_marks_decide_the_encoding(places: Places, tmp_path: Path, name: str, raw: bytes) -> None:
    """A byte order mark and the charset of a page decide how it is decoded; line ends become newlines."""
    normalize(places, write(tmp_path / name, raw), "docs")
    assert "grün\nblau" == lines(places, "docs")[0]["text_md"].replace("```\n", "").replace("\n```", "")


def test_every_line_keeps_its_schema_and_can_be_read_back(places: Places, tmp_path: Path) -> None:
    """A line keeps the schema normalized_document and is read back as the same document (G6)."""
    write(tmp_path / "in/a/b.md", "# Title\n\n[link](https://example.invalid/x)")
    normalize(places, tmp_path / "in/a", "docs")
    (record,) = lines(places, "docs")
    schemas.check("normalized_document", record, "line 1")
    (document,) = read_documents(places.run("docs") / NORMALIZED)
    assert record == document.record()
    assert ("Title", ("https://example.invalid/x",)) == (document.title, document.links)


def test_the_sample_is_several_runs_and_repeatable(places: Places) -> None:
    """The sample makes as many topic runs as asked for and the packages' READMEs, the same every time (E12)."""
    first = list(normalize_sample(places, 3))
    again = list(normalize_sample(places, 3))
    assert 4 == len(first)
    assert "package-readmes" == first[-1].rid
    assert all(report.rid.startswith("python-topics-") for report in first[:-1])
    assert [False] * 4 == [report.changed for report in again]
    sizes = [report.characters for report in first[:-1]]
    assert max(sizes) < 3 * min(sizes)


def test_more_sample_runs_than_letters_are_numbered(places: Places) -> None:
    """With more runs than first letters the topic runs are numbered, and none is empty."""
    reports = list(normalize_sample(places, 30))
    assert [f"python-topics-{number:03d}" for number in range(1, 31)] == [report.rid for report in reports[:-1]]
    assert all(report.documents for report in reports)
