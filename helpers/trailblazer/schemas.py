"""Every document is checked against its schema before it is written, and read with limits."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from trailblazer.atomic import read_regular, write_whole
from trailblazer.errors import DocumentInvalid
from trailblazer.plain import one_line

Record = TypeVar("Record")
Mend = Callable[[Any], Any]

_HERE = Path(__file__).resolve()
DEEPEST = 100  # what others nest more deeply is refused: writing, checking and comparing a value recurse
MOST_BYTES = 1 << 30  # in one document that is read whole
MOST_ERRORS = 100  # that are looked for in one document
_LONG_NUMBER = re.compile(rb"\d{19}")
_SHAPES: set[tuple[Any, ...]] = set()


def folder() -> Path:
    """Return the folder of the schemas: in the checkout, or in an installed wheel."""
    checkout = _HERE.parents[2] / "schemas"
    return checkout if checkout.is_dir() else _HERE.parent / "_schemas"


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the schema of that name, from schemas/NAME.schema.json."""
    schema: dict[str, Any] = json.loads((folder() / f"{name}.schema.json").read_bytes())
    return schema


@functools.cache
def _validator(name: str) -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(load(name))


@functools.cache
def _is_valid(name: str) -> Callable[[Any], bool]:
    import jsonschema_rs  # jsonschema takes ten times as long to load and to check, and says better what is wrong

    is_valid: Callable[[Any], bool] = jsonschema_rs.validator_for(load(name)).is_valid
    return is_valid


@functools.cache
def violations_in(name: str) -> Any:
    """Return a function from a document to its violations, as `$.path: message` lines in document order."""

    def violations(document: Any) -> list[str]:
        with contextlib.suppress(ValueError):  # what JSON cannot hold, such as half of a surrogate pair
            if _is_valid(name)(document):
                return []
        return _violations(name, document)

    return violations


def _violations(name: str, document: Any) -> list[str]:
    first = itertools.islice(_validator(name).iter_errors(document), MOST_ERRORS)
    errors = sorted(first, key=lambda error: list(map(str, error.path)))
    return [f"{error.json_path}: {_message(error)}" for error in errors]


def _message(error: Any) -> str:
    """Return what is wrong, on one line. A long value stands before the reason, and is cut so that the reason stays."""
    message = str(error.message)
    return one_line(message if len(message) <= 300 else f"{message[:140]}…{message[-140:]}", 300)


def user_schema(file: Path) -> Callable[[Any], str]:
    """Return a function from a document to the first way in which it breaks a user's schema, empty when it does not.

    A schema that breaks the draft, or needs what is not in the file (nothing is fetched), is refused with
    DocumentInvalid. The function may take for ever, because of a pattern: call it where it can be ended.
    """
    import jsonschema
    from jsonschema_specifications import REGISTRY
    from referencing.exceptions import Unresolvable

    schema = read_json(file)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        _check_parts(schema)
        validator = jsonschema.Draft202012Validator(schema, registry=REGISTRY)
        validator.is_valid(None)  # no pattern looks at null, and a schema that needs itself is found out
    except jsonschema.SchemaError as error:
        raise DocumentInvalid(f"{file} is not a JSON Schema: {_message(error)}", "Use draft 2020-12.") from None
    except (Unresolvable, ValueError, OverflowError, RecursionError) as error:
        why = "it needs itself without end" if isinstance(error, RecursionError) else one_line(str(error), 300)
        why = f"it refers to what is not in it: {why}" if isinstance(error, Unresolvable) else why
        raise DocumentInvalid(f"{file} cannot be used as a JSON Schema: {why}", "Nothing is fetched.") from None

    def first_violation(document: Any) -> str:
        errors = itertools.islice(validator.iter_errors(document), MOST_ERRORS)
        first = min(errors, key=lambda error: list(map(str, error.path)), default=None)
        return f"{first.json_path}: {_message(first)}" if first else ""

    return first_violation


def _check_parts(schema: Any) -> None:
    """Look up every reference and compile every pattern in a schema; what fails is a ValueError or Unresolvable."""
    from jsonschema_specifications import REGISTRY
    from referencing.jsonschema import DRAFT202012

    root = DRAFT202012.create_resource(schema)
    waiting = [(root, REGISTRY.with_resource(root.id() or "", root).resolver_with_root(root))]
    seen: set[int] = set()
    while waiting:
        part, resolver = waiting.pop()
        if not isinstance(part.contents, dict) or id(part.contents) in seen:
            continue
        seen.add(id(part.contents))
        for pattern in (part.contents.get("pattern", ""), *part.contents.get("patternProperties", ())):
            _check_pattern(pattern)
        for word in ("$ref", "$dynamicRef"):
            if word in part.contents:
                found = resolver.lookup(part.contents[word])
                waiting.append((DRAFT202012.create_resource(found.contents), found.resolver))
        waiting += [(below, resolver.in_subresource(below)) for below in part.subresources()]


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the pattern {pattern[:80]!r} is wrong: {error}") from None


def check(name: str, document: Any, where: str) -> None:
    """Refuse a document that breaks its schema with DocumentInvalid, which lists all violations."""
    if found := violations_in(name)(document):
        raise DocumentInvalid(f"{where}: {found[0]}", "\n".join([*found[1:], f"Schema: schemas/{name}.schema.json"]))


def check_shape(name: str, document: dict[str, Any], where: str, *, is_flat: bool = False) -> None:
    """Check a document like `check`, but only the first of each shape: for documents that one line of code makes.

    Two documents have one shape when they have the same keys with values of the same types, also inside of values;
    with `is_flat` not inside of values, for documents that are made by the thousand.
    """
    shape = (name, *document, *map(type, document.values())) if is_flat else (name, _shape_of(document))
    if shape not in _SHAPES:
        check(name, document, where)
        _SHAPES.add(shape)


def _shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple([(key, _shape_of(inner)) for key, inner in value.items()])
    return frozenset(map(_shape_of, value)) if isinstance(value, list) else type(value)


def publish(
    name: str, document: dict[str, Any], target: Path, *, durable: bool = True, once_per_shape: bool = False
) -> None:
    """Check a document (with `once_per_shape` by check_shape), then write it as a whole file."""
    (check_shape if once_per_shape else check)(name, document, str(target))
    write_whole(target, text_of(document), durable=durable)


def text_of(document: dict[str, Any]) -> bytes:
    """Return a document as JSON for people. Lone surrogates, as in a file's name, are escaped."""
    import orjson

    try:
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or a number of more than 64 bits
        return json.dumps(document, indent=2).encode() + b"\n"


def read_json(target: Path) -> Any:
    """Return the content of a JSON file. A file that is missing or not JSON is refused with DocumentInvalid."""
    try:
        return parse_json(read_regular(target, MOST_BYTES))
    except OSError as error:
        raise DocumentInvalid(f"cannot read {target}: {error.strerror}", "Check that path.") from error
    except ValueError as error:
        raise DocumentInvalid(f"{target} is not JSON: {error}", "Repair or remove that file.") from error


def read_moment(target: Path, name: str) -> datetime | None:
    """Return the moment that a field of a JSON document holds, UTC where it names no zone; None when it has none."""
    try:
        moment = datetime.fromisoformat(read_json(target)[name])
    except (DocumentInvalid, ValueError, KeyError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_lines(target: Path, mend: Mend | None = None) -> Iterator[dict[str, Any]]:
    """Yield the records of an NDJSON file, mended as by parse_json; a line that is no JSON object is refused."""
    try:
        with target.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _record(line, target, number, mend)
    except OSError as error:
        raise DocumentInvalid(f"cannot read {target}: {error.strerror}", "Check that path.") from error


def _record(line: bytes, target: Path, number: int, mend: Mend | None) -> dict[str, Any]:
    try:
        record = parse_json(line, mend=mend)
    except ValueError as error:
        why = "Is the line cut off? Normalize or chunk the run again."
        raise DocumentInvalid(f"{target}:{number} is not JSON: {error}", why) from error
    if not isinstance(record, dict):
        raise DocumentInvalid(f"{target}:{number} is not a JSON object", "Each line holds one object.")
    return record


def in_camel_case(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with its names as our documents spell them: `runs_planned` is runsPlanned."""
    return {_camel_case(name): value for name, value in record.items()}


@functools.cache
def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def as_record(kind: type[Record], document: Mapping[str, Any], **known: Any) -> Record:
    """Return a dataclass filled from a document whose names are in camel case or as they are; lists become tuples.

    A name that the document lacks keeps its default, or is refused with DocumentInvalid where there is none. Names
    that the dataclass lacks are passed over: an older or newer version wrote them.
    """
    values = dict(known)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = next((name for name in (field.name, _camel_case(field.name)) if name in document), None)
        if field.name not in known and name is not None:
            value = document[name]
            values[field.name] = tuple(value) if isinstance(value, list) else value
    try:
        return kind(**values)
    except TypeError as error:
        raise DocumentInvalid(f"the document is no {kind.__name__}: {error}", "Another version wrote it.") from None


def parse_json(text: bytes, *, is_finite: bool = False, is_exact: bool = False, mend: Mend | None = None) -> Any:
    """Return the value of a JSON text; ValueError when it is none, too deep (DEEPEST), or with `is_finite` has NaN.

    With `is_exact` an integer of more than 64 bits stays one. `mend` replaces a value that may hold what a database
    does not take: NUL, lone surrogates, NaN. Few do.
    """
    import orjson

    is_sound = b"\\u0000" not in text
    try:
        if is_exact and _LONG_NUMBER.search(text):
            raise orjson.JSONDecodeError("a number may be too long", "", 0)
        value = orjson.loads(text)
    except orjson.JSONDecodeError as refusal:
        value, is_sound = _parse_leniently(text, refusal, is_finite=is_finite), False
    refuse_deep(value, text.count(b"[") + text.count(b"{"))
    return value if is_sound or mend is None else mend(value)


def _parse_leniently(text: bytes, refusal: ValueError, *, is_finite: bool) -> Any:
    """Parse what only Python's own reader takes: lone surrogates, NaN, UTF-16; else raise the refusal."""
    try:
        value = json.loads(text)
        if is_finite:
            json.dumps(value, allow_nan=False)
        return value
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    except ValueError:
        raise refusal from None


def refuse_deep(value: Any, brackets: int) -> None:
    """Refuse a value that is nested more than DEEPEST deep with ValueError; its text has so many opening brackets."""
    if brackets > DEEPEST and _is_too_deep(value):
        raise ValueError(f"it is nested more than {DEEPEST} deep")


def _is_too_deep(value: Any) -> bool:
    layer = [value]
    for _ in range(DEEPEST):
        outers = [outer for outer in layer if isinstance(outer, (dict, list))]
        layer = [inner for outer in outers for inner in (outer.values() if isinstance(outer, dict) else outer)]
    return any(isinstance(inner, (dict, list)) for inner in layer)
