"""What the quick look calls valid is valid by jsonschema too, for each of our schemas."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailblazer import schemas
from trailblazer.config import known_keys
from trailblazer.validity import is_valid

NAMES = sorted(file.name.removesuffix(".schema.json") for file in schemas.folder().glob("*.schema.json"))
SCALARS: list[Any] = [None, True, False, 0, 1, -1, 1.0, 0.5, "", "a", "running", "x" * 300, "1", "1:2", "/a b"]
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "B", "-"]), inner, max_size=3),
    max_leaves=5,
)


def defaults() -> dict[str, Any]:
    """Return a configuration in which every key has its default."""
    nested: dict[str, Any] = {}
    for key, schema in known_keys().items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = copy.deepcopy(schema["default"])
    return nested


def values_for(part: dict[str, Any], whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that are near to what a part of a schema wants."""
    if "$ref" in part:
        part = whole["$defs"][part["$ref"].rpartition("/")[2]]
    if "properties" in part:
        names = {name: values_for(inner, whole) | VALUES for name, inner in part["properties"].items()}
        needed = part.get("required", ())
        return st.fixed_dictionaries(
            {name: names[name] for name in needed if name in names},
            optional={name: values for name, values in names.items() if name not in needed} | {"other": VALUES},
        )
    if "items" in part:
        return st.lists(values_for(part["items"], whole), max_size=3)
    known = [part["const"]] if "const" in part else part.get("enum", [])
    return st.sampled_from([*known, *SCALARS]) | VALUES


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(st.data())
def test_valid_is_valid(name: str, data: st.DataObject) -> None:
    """A document that the quick look passes breaks no rule that jsonschema knows."""
    schema = schemas.load(name)
    document = data.draw(values_for(schema, schema))
    if is_valid(schema, document):
        assert [] == list(jsonschema.Draft202012Validator(schema).iter_errors(document))


def test_the_configuration_needs_no_jsonschema() -> None:
    """The quick look passes the shipped configuration: no verb loads jsonschema for it."""
    assert is_valid(schemas.load("config"), defaults())


@pytest.mark.parametrize("schema", [{"oneOf": [{}]}, {"type": "integer", "multipleOf": 2}, {"$ref": "other.json"}])
def test_a_word_that_is_not_known_is_doubt(schema: dict[str, Any]) -> None:
    """The quick look passes nothing by a schema with a word that it does not know."""
    assert not is_valid(schema, 2)
