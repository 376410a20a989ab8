"""Every document is held against its schema before it is published or believed."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from trailblazer.atomic import write_whole
from trailblazer.errors import DocumentInvalid

_HERE = Path(__file__).resolve()


def folder() -> Path:
    """Return the folder of the schemas: the checkout's, or the one inside an installed wheel."""
    checkout = _HERE.parents[2] / "schemas"
    return checkout if checkout.is_dir() else _HERE.parent / "_schemas"


_ADDED: dict[str, dict[str, Any]] = {}


def add(name: str, file: Path) -> None:
    """Take a schema of the user's under a name of ours; one that is no schema is refused."""
    import jsonschema

    schema = read_json(file)
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise DocumentInvalid(f"{file} is no JSON Schema: {_words(error)}", "Draft 2020-12.") from None
    _ADDED[name] = schema


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the schema of that name, as written in schemas/NAME.schema.json."""
    if name in _ADDED:
        return _ADDED[name]
    schema: dict[str, Any] = json.loads((folder() / f"{name}.schema.json").read_text())
    return schema


@functools.cache
def _validator(name: str) -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator(load(name))


@functools.cache
def violations_in(name: str) -> Any:
    """Return a function from a document to its violations, as `$.path: message` lines in document order."""
    return lambda document: [
        f"{error.json_path}: {_words(error)}"
        for error in sorted(_validator(name).iter_errors(document), key=lambda error: list(map(str, error.path)))
    ]


def _words(error: Any) -> str:
    from trailblazer.plain import one_line

    return one_line(str(error.message), 300)


def check(name: str, document: Any, where: str) -> None:
    """Refuse a document that breaks its schema with DocumentInvalid, all violations at once."""
    found = violations_in(name)(document)
    if found:
        raise DocumentInvalid(f"{where}: {found[0]}", "\n".join([*found[1:], f"Schema: schemas/{name}.schema.json"]))


_SHAPES: set[tuple[Any, ...]] = set()


def check_shape(name: str, document: dict[str, Any], where: str) -> None:
    """As `check`, but once for each shape: for flat documents that are made by the thousand, by the same lines of code.

    Two documents are of one shape when they have the same keys with values of the same types.
    """
    shape = (name, *((key, type(value)) for key, value in document.items()))
    if shape not in _SHAPES:
        check(name, document, where)
        _SHAPES.add(shape)


def publish(name: str, document: Any, target: Path, *, durable: bool = True) -> None:
    """Validate a document, then write it as a whole file; what is no UTF-8, as a file's name may be, is escaped."""
    check(name, document, str(target))
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = json.dumps(document, indent=2)
    write_whole(target, text + "\n", durable=durable)


def read_json(target: Path) -> Any:
    """Return what a JSON file holds; one that is missing or not JSON is refused with DocumentInvalid."""
    try:
        return json.loads(target.read_bytes())
    except OSError as error:
        raise DocumentInvalid(f"cannot read {target}: {error.strerror}", "Look at that path.") from error
    except ValueError as error:
        raise DocumentInvalid(f"{target} is not JSON: {error}", "Mend or remove that file.") from error


def read_lines(target: Path) -> Any:
    """Yield the records of an NDJSON file; a line that is not a JSON object is refused with its number."""
    try:
        with target.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _record(line, target, number)
    except OSError as error:
        raise DocumentInvalid(f"cannot read {target}: {error.strerror}", "Look at that path.") from error


def _record(line: bytes, target: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DocumentInvalid(
            f"{target}:{number} is not JSON: {error}", "Half a line? Normalise or chunk the run again."
        ) from error
    if not isinstance(record, dict):
        raise DocumentInvalid(f"{target}:{number} is not a JSON object", "Each line holds one object.")
    return record
