"""Lists of items, and limits of the system, that are not as they should be (issue 10: 17)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lanes.embed.project import LIMIT, says_one_thing
from lanes.items.batches import HOSTILE, Batches

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "holds no item"),
    "empty.json": (b"", "holds no item"),
    "empty.ndjson": (b"", "holds no item"),
    "empty.csv": (b"", "holds no item"),
    "blank": (b"\n \n\t\r\n" * 40_000, "holds no item"),
    "blank.json": (b" \n" * 40_000, "holds no item"),
    "header.csv": (b"id\n", "holds no item"),
    "bytes.json": (b'["a", "\xff"]', "is not JSON: 'utf-8' codec can't decode byte 0xff"),
    "bytes.ndjson": (b'{"a": "\xff"}\n', "bytes.ndjson:1 is not JSON: "),
    "comma.json": (b'["a" "b"]', "is not JSON: there is no comma (item 2)"),
    "two.json": (b'["a"]\n["b"]\n', "is not JSON: something follows the array (item 2)"),
    "late.json": (b'["a"' + b" " * 70_000 + b"] x", "is not JSON: something follows the array"),
    "number.ndjson": (b"1\n1e999\n", "number.ndjson: item 2: "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_list_is_one_line(batches: Batches, name: str) -> None:
    """A list without items, or that is not of its form, is exit 4, names the file, and makes no folder."""
    content, said = BAD[name]
    (batches.folder / name).write_bytes(content)
    done = batches.run("batch", "run", "--items", name, "--", "true")
    assert 4 == done.code, done.err
    assert says_one_thing(done), done.err
    assert said in done.err
    assert [] == batches.dispatches


def test_a_folder_is_no_list(batches: Batches) -> None:
    """A folder in place of the list is exit 4."""
    done = batches.run("batch", "run", "--items", "config", "--", "true")
    assert 4 == done.code
    assert "cannot read the items config: Is a directory" in done.err


def test_a_list_that_may_not_be_read_is_named(batches: Batches) -> None:
    """A plain user who may not read the list gets one line and exit 4."""
    (batches.folder / "items.txt").write_text("a\n")
    (batches.folder / "items.txt").chmod(0)
    before = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    with batches.running("batch", "run", "--items", "items.txt", "--", "true", before=before) as process:
        _, said = process.communicate(timeout=LIMIT)
    assert 4 == process.returncode, said
    assert "cannot read the items items.txt: Permission denied" in said


@pytest.mark.parametrize("form", ["lines", "nul", "json"])
def test_a_line_ends_where_a_line_ends(batches: Batches, form: str) -> None:
    """U+2028, U+0085, a form feed and a vertical tab are part of an item, in every form and on every way out."""
    items = ["a\u2028b", "c\x0bd", "e\x0cf", "g\x85h", "i\x1cj"]
    content = {"lines": "\n".join(items), "nul": "\0".join(items), "json": json.dumps(items)}[form]
    (batches.folder / "items").write_text(content, encoding="utf-8")
    words = ["--items", "items", "--format", form, "--results", "json", "--keep-order", "--verbose"]
    done = batches.run("batch", "run", *words, "--skip-preflight", "--", *HOSTILE, "answer", "{{ output_file }}",
                       "{{ [item] | tojson }}")  # fmt: skip
    assert 0 == done.code, done.err
    assert items == [json.loads(line)["item"] for line in done.out.strip().split("\n")]
    assert [[item] for item in items] == [
        json.loads((batches.attempt(number) / "output").read_text()) for number in range(len(items))
    ]
    assert 0 == batches.run("verify", "latest").code


def test_a_nul_is_that_items_error(batches: Batches) -> None:
    """A NUL, which no argument can hold, fails its item and no other."""
    (batches.folder / "items").write_bytes(b"a\0b\nc\n")
    done = batches.run("batch", "run", "--items", "items", "--format", "lines", "--preflight", "go", "--", "echo")
    assert 6 == done.code, done.err
    assert ["error", "success"] == batches.outcomes
    assert "an argument holds a NUL character, which no command can take" == batches.why()


@pytest.mark.parametrize("kib", [1, 8, 40])
def test_a_limit_on_files_is_one_line(batches: Batches, kib: int) -> None:
    """Where `ulimit -f` stops the list or the journal, that is said once with exit 8; a resume completes the batch."""
    (batches.folder / "items").write_text("".join(f"item {number:04}\n" for number in range(100)))
    words = ["batch", "run", "--items", "items", "--skip-preflight", "--", "true"]
    before = ("bash", "-c", f'ulimit -f {kib}; exec "$@"', "bash")
    with batches.running(*words, before=before) as process:
        _, said = process.communicate(timeout=LIMIT)
    assert 8 == process.returncode, said
    assert "Traceback" not in said
    assert "File too large" in said
    assert "(ulimit -f) is too low" in said
    if batches.dispatches:
        again = batches.run("batch", "run", "--resume", "latest")
        assert 0 == again.code, again.err
        assert 0 == batches.run("verify", "latest").code


def test_a_prompt_is_whole_or_the_item_fails(batches: Batches) -> None:
    """A prompt that is cut by a limit on files is its item's error: half a prompt is never sent."""
    (batches.folder / "items").write_text("x" * 30_000 + "\n")
    (batches.folder / "prompt.md").write_text("{{ item }}{{ item }}")
    note = batches.folder / "sent"
    words = ["--items", "items", "--template", "prompt.md", "--no-worker-logs", "--", "sh", "-c", f"cat > '{note}'"]
    before = ("bash", "-c", 'ulimit -f 49; exec "$@"', "bash")
    with batches.running("batch", "run", *words, before=before) as process:
        _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 6, said
    assert not Path(note).exists()
