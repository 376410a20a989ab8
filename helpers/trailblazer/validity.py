"""Says quickly that a document keeps a schema; where it is in doubt, jsonschema is asked, which takes long to load."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]
# A part of a schema: its word's own value, the value that is held against it, and the whole schema.
Keeps = Callable[[Any, Any, Schema], bool]

_KINDS: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SCALARS = (str, int, bool, type(None))


def is_valid(schema: Schema, document: Any) -> bool:
    """Say whether a document surely keeps a schema (draft 2020-12). False means that it is not known."""
    return _keeps(document, schema, schema)


def _keeps(value: Any, part: Schema, whole: Schema) -> bool:
    for word, wanted in part.items():
        if word in _SILENT:
            continue
        keeps = _WORDS.get(word)
        if keeps is None or not keeps(wanted, value, whole):
            return False
    return "additionalProperties" not in part or _keeps_others(part, value, whole)


def _has_kind(wanted: Any, value: Any, _: Schema) -> bool:
    kinds = (wanted,) if isinstance(wanted, str) else wanted
    return any(type(value) in _KINDS[kind] for kind in kinds)


def _is_same(wanted: Any, value: Any, _: Schema) -> bool:
    """Say whether two plain values are equal; 1 is not true."""
    return type(value) in _SCALARS and type(value) is type(wanted) and bool(value == wanted)


def _keeps_properties(wanted: Any, value: Any, whole: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    return all(_keeps(value[name], part, whole) for name, part in wanted.items() if name in value)


def _keeps_others(part: Schema, value: Any, whole: Schema) -> bool:
    """Say whether the properties that a schema does not name keep what it says about all others."""
    if not isinstance(value, dict) or part["additionalProperties"] is True:
        return True
    others = [inner for name, inner in value.items() if name not in part.get("properties", ())]
    rule = part["additionalProperties"]
    return not others if rule is False else all(_keeps(inner, rule, whole) for inner in others)


def _keeps_reference(wanted: Any, value: Any, whole: Schema) -> bool:
    place, _, name = wanted.rpartition("/")
    return place == "#/$defs" and name in whole.get("$defs", ()) and _keeps(value, whole["$defs"][name], whole)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@functools.cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


# These say nothing about a value; `additionalProperties` is held against it when all other words are.
_SILENT = frozenset(
    {"$schema", "$id", "$defs", "title", "description", "default", "writeOnly", "examples", "additionalProperties"}
)
_WORDS: Mapping[str, Keeps] = {
    "type": _has_kind,
    "const": _is_same,
    "enum": lambda wanted, value, whole: any(_is_same(one, value, whole) for one in wanted),
    "properties": _keeps_properties,
    "required": lambda wanted, value, _: not isinstance(value, dict) or value.keys() >= set(wanted),
    "items": lambda wanted, value, whole: not isinstance(value, list) or all(_keeps(v, wanted, whole) for v in value),
    "propertyNames": lambda wanted, value, whole: (
        not isinstance(value, dict) or all(_keeps(name, wanted, whole) for name in value)
    ),
    "$ref": _keeps_reference,
    "pattern": lambda wanted, value, _: not isinstance(value, str) or bool(_pattern(wanted).search(value)),
    "minimum": lambda wanted, value, _: not _is_number(value) or value >= wanted,
    "maximum": lambda wanted, value, _: not _is_number(value) or value <= wanted,
    "exclusiveMinimum": lambda wanted, value, _: not _is_number(value) or value > wanted,
    "minLength": lambda wanted, value, _: not isinstance(value, str) or len(value) >= wanted,
    "maxLength": lambda wanted, value, _: not isinstance(value, str) or len(value) <= wanted,
    "minItems": lambda wanted, value, _: not isinstance(value, list) or len(value) >= wanted,
    "minProperties": lambda wanted, value, _: not isinstance(value, dict) or len(value) >= wanted,
    "maxProperties": lambda wanted, value, _: not isinstance(value, dict) or len(value) <= wanted,
    "uniqueItems": lambda wanted, value, _: (
        not wanted
        or not isinstance(value, list)
        or (all(type(one) is str for one in value) and len(set(value)) == len(value))
    ),
}
