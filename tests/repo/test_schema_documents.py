"""Every schema is valid, and the shipped configuration holds the defaults of its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from repo.tree import CHECKOUT, python_files
from trailblazer.config import known_keys

# Other programs write these documents, and we read a part of them: the schema is for their authors.
FOREIGN = {"enriched_document"}
SCHEMAS = sorted((CHECKOUT / "schemas").iterdir())


def parts_of(schema: Any, place: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object inside a schema, itself first, with its place."""
    if isinstance(schema, dict):
        yield place, schema
        for key, value in schema.items():
            if key not in {"default", "examples", "const", "enum"}:
                yield from parts_of(value, f"{place}.{key}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from parts_of(value, f"{place}[{number}]")


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_schema_is_a_schema(file: Path) -> None:
    """A schema is valid under Draft 2020-12, and its $id, title and description say what it is for."""
    schema = json.loads(file.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "https://json-schema.org/draft/2020-12/schema" == schema["$schema"]
    assert schema["$id"].endswith(f"/{file.name}")
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_every_property_is_described(file: Path) -> None:
    """Every property has a description."""
    silent = [
        f"{place}.{name}"
        for place, part in parts_of(json.loads(file.read_text()))
        if not place.endswith(".properties")
        for name, inner in (part.get("properties") or {}).items()
        if not inner.get("description")
    ]
    assert [] == silent


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_every_object_says_whether_it_is_open(file: Path) -> None:
    """An object with properties allows or forbids others, so that a misspelt key never passes by chance."""
    vague = [
        place
        for place, part in parts_of(json.loads(file.read_text()))
        if not place.endswith(".properties") and isinstance(part.get("properties"), dict)
        if not {"additionalProperties", "unevaluatedProperties"} & part.keys()
        if not any(word in place for word in (".allOf[", ".anyOf[", ".oneOf[", ".if", ".then", ".else"))
    ]
    assert [] == vague


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_every_schema_is_used(file: Path) -> None:
    """A schema is named by the code that writes or reads its documents."""
    name = file.name.removesuffix(".schema.json")
    assert name in FOREIGN or any(f'"{name}"' in source.read_text() for source in python_files("helpers")), name


def test_shipped_configuration_is_the_default() -> None:
    """config/.trailblazer.yaml holds every key of the schema with its default."""
    shipped = yaml.safe_load((CHECKOUT / "config" / ".trailblazer.yaml").read_text())
    flat = {f"{section}.{key}": value for section, keys in shipped.items() for key, value in keys.items()}
    assert {key: schema["default"] for key, schema in known_keys().items()} == flat
