"""Lists of items in each form, read back as they were written (P1)."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailblazer.errors import PlanUnusable
from trailblazer.lanes.items.source import read_spooled, spool_items

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
LINES = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=30).filter(
    lambda text: text.strip() and not text.startswith("\ufeff")
)
NAMES = st.binary(min_size=1, max_size=20).filter(
    lambda name: b"\0" not in name and bool(name.decode("utf-8", "surrogateescape").strip())
)
SPOOL = """
import re, sys
from pathlib import Path
from trailblazer.lanes.items.source import spool_items
with open(sys.argv[1], "rb") as opened:
    count = spool_items(opened, sys.argv[1], "auto", Path(sys.argv[2]))
print(count, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, content: bytes, most: int) -> None:
        self._content, self._most = content, most

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next few bytes."""
        piece = self._content[: min(self._most, len(buffer))]
        buffer[: len(piece)] = piece
        self._content = self._content[len(piece) :]
        return len(piece)


def spooled(tmp: Path, content: bytes, form: str = "auto", name: str = "stdin", most: int = 7) -> list[Any]:
    """Return the items of a stream that gives `most` bytes at a time."""
    target = tmp / "items.ndjson"
    opened: IO[bytes] = io.BufferedReader(Trickle(content, most))
    count = spool_items(opened, name, form, target)
    values = list(read_spooled(target))
    assert count == len(values)
    return values


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples."""
    return tmp_path_factory.mktemp("items")


def test_an_integer_stays_an_integer(tmp: Path) -> None:
    """An item of more than 64 bits, such as an account's number, is not rounded."""
    numbers = [2**63 - 1, -(2**63) - 1, 2**64, 10**30, {"id": -(10**25)}]
    for form in ("json", "ndjson"):
        lines = json.dumps(numbers) if form == "json" else "\n".join(map(json.dumps, numbers))
        assert numbers == spooled(tmp, lines.encode(), form)
        assert {"int", "dict"} == {type(value).__name__ for value in spooled(tmp, lines.encode(), form)}


@given(values=st.lists(VALUES, min_size=1, max_size=8), indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_a_json_array_is_read_as_written(tmp: Path, values: list[Any], indent: int | None, ascii_only: bool) -> None:
    """An array in any layout is read element by element, also from a pipe that gives it in pieces."""
    content = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    if ascii_only or content.decode("utf-8", "ignore").encode() == content:
        assert values == spooled(tmp, content, "json")


@given(values=st.lists(VALUES, min_size=1, max_size=8))
def test_ndjson_is_read_as_written(tmp: Path, values: list[Any]) -> None:
    """Each line is a value, and blank lines are skipped."""
    content = "\n\n".join(json.dumps(value) for value in values).encode()
    assert values == spooled(tmp, content, "ndjson")


@given(lines=st.lists(LINES, min_size=1, max_size=8), ending=st.sampled_from(["\n", "\r\n"]))
def test_lines_are_read_as_written(tmp: Path, lines: list[str], ending: str) -> None:
    """Each line is an item, with any line ending, also without one after the last line."""
    assert lines == spooled(tmp, ending.join(lines).encode(), "lines")
    assert lines == spooled(tmp, (ending.join(lines) + ending).encode(), "lines")


@given(names=st.lists(NAMES, min_size=1))
def test_file_names_that_are_not_text_survive(tmp: Path, names: list[bytes]) -> None:
    """File names from `find -print0` are read byte for byte, also when they are not UTF-8."""
    read = spooled(tmp, b"\0".join(names) + b"\0", "nul")
    assert names == [name.encode("utf-8", "surrogateescape") for name in read]


@given(rows=st.lists(st.fixed_dictionaries({"id": LINES, "url, raw": st.text('ab,"\n é', max_size=8)}), min_size=1))
def test_csv_rows_become_objects(tmp: Path, rows: list[dict[str, str]]) -> None:
    """Rows after a header become objects, also with quoted commas and line breaks."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["id", "url, raw"])
    writer.writeheader()
    writer.writerows(rows)
    assert rows == spooled(tmp, text.getvalue().encode(), "csv")


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (b"[1, 2]", "stdin", [1, 2]),
        (b' \n [\n{"a": 1}]', "stdin", [{"a": 1}]),
        (b'{"a": 1}\n{"a": 2}\n', "stdin", [{"a": 1}, {"a": 2}]),
        (b"a\0b\0", "stdin", ["a", "b"]),
        (b"a\n\nb", "stdin", ["a", "b"]),
        (b"\xef\xbb\xbfa\nb", "stdin", ["a", "b"]),
        (b"id\n7\n", "list.csv", [{"id": "7"}]),
        (b"id\n7\n", "list.txt", ["id", "7"]),
        (b"1\n2\n", "list.jsonl", [1, 2]),
    ],
)
def test_the_form_follows_from_name_or_content(tmp: Path, content: bytes, name: str, expected: list[Any]) -> None:
    """Without --format the form follows from the suffix of the file, else from its first bytes."""
    assert expected == spooled(tmp, content, name=name, most=1 << 16)


@pytest.mark.parametrize(
    ("content", "form", "words"),
    [
        (b"", "auto", "holds no item"),
        (b"\n\n", "auto", "holds no item"),
        (b"[]", "json", "holds no item"),
        (b'[{"a": 1}, {"b"', "json", "is not JSON"),
        (b"[1, 2", "json", "does not end"),
        (b"hello", "json", "is not a JSON array"),
        (b"1\n{oops}\n", "ndjson", "stdin:2 is not JSON"),
        (b'{"a": 1}\n{"a": NaN}\n', "ndjson", "stdin:2 is not JSON: NaN"),
        (b"[1, -Infinity]", "json", "is not JSON: -Infinity"),
        (b"a,b\n1,2,3\n", "csv", "stdin:2: the row has not as many fields"),
        (b'a,b\n"1,2\n', "csv", "is not CSV"),
    ],
)
def test_a_broken_list_is_refused_with_its_place(tmp: Path, content: bytes, form: str, words: str) -> None:
    """Half a list is refused, and one line says where it breaks (exit 4)."""
    with pytest.raises(PlanUnusable) as refused:
        spooled(tmp, content, form)
    assert words in refused.value.what
    assert 4 == refused.value.exit_code


def test_items_are_not_held_in_memory(tmp: Path) -> None:
    """Spooling 200,000 items takes less than 1.3 times the memory of 200 (P1)."""
    peaks = []
    for count in (200, 200_000):
        file = tmp / f"{count}.json"
        file.write_text(json.dumps([{"id": f"item-{number}", "url": "x" * 40} for number in range(count)]))
        done = subprocess.run(
            [sys.executable, "-c", SPOOL, str(file), str(tmp / "spooled")], capture_output=True, text=True, check=True
        )
        read, peak = map(int, done.stdout.split())
        assert count == read
        peaks.append(peak)
    assert peaks[1] < 1.3 * peaks[0]
