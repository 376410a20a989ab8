"""Items as people have them: a JSON array, NDJSON, CSV with a header, lines, or NUL-separated; a file or stdin."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from trailblazer.atomic import whole_file
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.schemas import DEEPEST, parse_json, refuse_deep

_BY_SUFFIX = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}
_PIECE = 1 << 16


def spool_from(items: str | None, form: str, target: Path) -> tuple[int, str]:
    """Write the items to `target`, and return how many there are and where they come from."""
    if items is not None and items.lstrip()[:1] == "[":
        return spool_items(io.BytesIO(items.encode("utf-8", "surrogateescape")), "--items", "json", target), "--items"
    if items in (None, "-"):
        if sys.stdin.isatty():
            raise WordsWrong("there are no items", 'Give --items FILE, --items \'["a", "b"]\', or a list on stdin.')
        return spool_items(sys.stdin.buffer, "stdin", form, target), "stdin"
    file = Path(items)
    try:
        with file.open("rb") as opened:
            return spool_items(opened, str(file), form, target), str(file)
    except OSError as error:
        raise PlanUnusable(f"cannot read the items {file}: {error.strerror}", "Look at that path.") from error


def spool_items(opened: IO[bytes], name: str, form: str, target: Path) -> int:
    """Write the items of a source as NDJSON, one JSON value a line, and return how many there are.

    Items are streamed: one at a time is held. What is not of its form is refused with PlanUnusable and its place.
    """
    buffered = io.BufferedReader(opened, _PIECE) if isinstance(opened, io.RawIOBase) else opened
    count = 0
    with whole_file(target) as file:
        for count, value in enumerate(_values(buffered, name, form), start=1):
            file.write(_line(value, f"{name}: item {count}"))
    if not count:
        target.unlink()
        raise PlanUnusable(f"{name} holds no item", "An empty batch hides a broken list.")
    return count


def _line(value: Any, where: str) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    except ValueError as error:  # a number like 1e999 is no number of JSON's
        raise PlanUnusable(f"{where}: {error}", "Write that number as a text.") from None


def read_spooled(file: Path) -> Iterator[Any]:
    """Yield the values that were spooled, in order."""
    with file.open("rb") as opened:
        for line in opened:
            yield parse_json(line, is_exact=True)


def _values(opened: IO[bytes], name: str, form: str) -> Iterator[Any]:
    head = opened.peek(_PIECE)[:_PIECE] if isinstance(opened, io.BufferedReader) else b""
    if form == "auto":
        form = _BY_SUFFIX.get(Path(name).suffix.lower()) or _guess(head)
    if form == "json" and head.lstrip()[:1] == b"{":
        form = "ndjson"
    if form == "json":
        return _from_array(opened, name)
    if form == "ndjson":
        return _from_ndjson(opened, name)
    if form == "csv":
        return _from_csv(opened, name)
    return _from_separated(opened, b"\0" if form == "nul" else b"\n")


def _guess(head: bytes) -> str:
    first = head.lstrip()[:1]
    if first == b"[":
        return "json"
    if first == b"{":
        return "ndjson"
    return "nul" if b"\0" in head else "lines"


def _from_separated(opened: IO[bytes], separator: bytes) -> Iterator[str]:
    rest = b""
    while piece := opened.read(_PIECE):
        *whole, rest = (rest + piece).split(separator)
        yield from _texts(whole, separator)
    yield from _texts([rest], separator)


def _texts(pieces: list[bytes], separator: bytes) -> Iterator[str]:
    """Yield what is not blank; bytes that are no UTF-8 survive as surrogates, so that a file's name stays itself."""
    for piece in pieces:
        text = piece.decode("utf-8", "surrogateescape")
        text = text.removeprefix("\ufeff").rstrip("\r") if separator == b"\n" else text
        if text.strip():
            yield text


def _from_ndjson(opened: IO[bytes], name: str) -> Iterator[Any]:
    for number, line in enumerate(opened, start=1):
        if line.strip():
            try:
                value = json.loads(line, parse_constant=_refuse)
                refuse_deep(value, line.count(b"[") + line.count(b"{"))
            except (ValueError, RecursionError) as error:
                raise PlanUnusable(f"{name}:{number} is not JSON: {_why(error)}", "One JSON value a line.") from None
            yield value


def _from_csv(opened: IO[bytes], name: str) -> Iterator[dict[str, str]]:
    rows = csv.DictReader(io.TextIOWrapper(opened, "utf-8-sig", newline=""), restkey="…", strict=True)
    try:
        for row in rows:
            if None in row.values() or "…" in row:
                raise PlanUnusable(f"{name}:{rows.line_num}: the row has not as many fields as the header", "Mend it.")
            yield row
    except (csv.Error, UnicodeDecodeError) as error:
        raise PlanUnusable(f"{name}:{rows.line_num} is not CSV: {error}", "A header, then a row a line.") from None


def _why(error: Exception) -> str:
    return f"it is nested more than {DEEPEST} deep" if isinstance(error, RecursionError) else str(error)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON value")


def _from_array(opened: IO[bytes], name: str) -> Iterator[Any]:
    """Yield the elements of a JSON array while reading it: only the element that is being read is held."""
    text = io.TextIOWrapper(opened, "utf-8-sig", newline="")
    number = 0
    try:
        for number, value in enumerate(_elements(text), start=1):  # noqa: B007 - a refusal names the item
            yield value
    except (ValueError, RecursionError) as error:
        raise PlanUnusable(f"{name} is not JSON: {_why(error)} (item {number + 1})", "Half a file?") from None


def _elements(text: io.TextIOWrapper) -> Iterator[Any]:
    decoder = json.JSONDecoder(parse_constant=_refuse)
    held, is_over, needs_comma = "", False, False
    while not held and (piece := text.read(_PIECE)):
        held = piece.lstrip()
    if not held:
        return
    if not held.startswith("["):
        raise ValueError("it is not a JSON array; there is --format lines")
    held = held[1:]
    while True:
        held = held.lstrip()
        if needs_comma and held.startswith(","):
            held, needs_comma = held[1:].lstrip(), False
        if held.startswith("]"):
            if (held[1:] + text.read(_PIECE)).strip():
                raise ValueError("something follows the array")
            return
        if needs_comma and held:
            raise ValueError("there is no comma")
        problem = ValueError("the array does not end")
        try:
            value, end = decoder.raw_decode(held)
            is_whole = end < len(held)
        except ValueError as error:
            is_whole, problem = False, error
        if is_whole:
            refuse_deep(value, held.count("[", 0, end) + held.count("{", 0, end))
            yield value
            held, needs_comma = held[end:], True
        elif is_over:
            raise problem
        else:
            piece = text.read(max(_PIECE, len(held)))
            is_over, held = not piece, held + piece
