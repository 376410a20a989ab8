"""--expect-schema: nothing is fetched, a bad schema is refused at once, no check hangs (issue 10: 12)."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lanes.embed.project import says_one_thing
from lanes.items.batches import HOSTILE, Batches
from trailblazer.errors import DocumentInvalid
from trailblazer.lanes.checks import Checks
from trailblazer.processes.children import Children
from trailblazer.schemas import user_schema

ANSWER = ["answer", "{{ output_file }}", "{{ item }}"]


def write_schema(folder: Path, schema: Any) -> str:
    """Write a schema and return its path."""
    file = folder / "schema.json"
    file.write_text(schema if isinstance(schema, str) else json.dumps(schema))
    return str(file)


def run(batches: Batches, schema: Any, *items: Any, timeout: str = "60") -> Any:
    """Run a batch in which each item's output is the item, held against a schema."""
    file = batches.folder / "items.json"
    file.write_text(json.dumps(items))
    words = ["--items", str(file), "--expect-schema", write_schema(batches.folder, schema), "--timeout", timeout]
    return batches.run("batch", "run", *words, "--skip-preflight", "--", *HOSTILE, *ANSWER)


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """The paths that a web server here is asked for; the first is its address."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, format: str, *words: Any) -> None:  # noqa: A002
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        paths.append(f"http://127.0.0.1:{server.server_port}")
        yield paths
        server.shutdown()


def test_nothing_is_fetched_from_the_web(batches: Batches, asked: list[str]) -> None:
    """A reference to the web is refused with exit 3 before anything runs, and nobody is asked."""
    done = run(batches, {"properties": {"a": {"$ref": asked[0] + "/schema"}}}, {"a": 1})
    assert 3 == done.code, done.err
    assert says_one_thing(done), done.err
    assert 1 == len(asked)
    assert [] == batches.dispatches


BAD: dict[str, Any] = {
    "a file": {"$ref": "file:///etc/hostname"},
    "a file beside it": {"items": {"$ref": "other.json"}},
    "a pointer to nowhere": {"$ref": "#/$defs/none"},
    "an anchor that is none": {"$ref": "#none"},
    "a dynamic one": {"$dynamicRef": "https://example.invalid/schema"},
    "behind a pointer": {"$ref": "#/odd/place", "odd": {"place": {"not": {"$ref": "#/none"}}}},
    "a bad pattern": {"pattern": "("},
    "a bad property pattern": {"allOf": [{"patternProperties": {"*": True}}]},
    "a huge repeat": {"pattern": "a{99999999999999999999}"},
    "a deep pattern": {"pattern": "(" * 5000 + ")" * 5000},
    "itself": {"$ref": "#"},
    "itself by a detour": {"anyOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"allOf": [{"$ref": "#"}]}}},
    "no address": {"$ref": "http://["},
    "the draft": {"type": "wonderful"},
    "no schema": 5,
    "no JSON": "{",
    "deep": "[" * 200_000,
    "deep objects": '{"not":' * 5000 + "true" + "}" * 5000,
}


@pytest.mark.parametrize("schema", BAD.values(), ids=BAD.keys())
def test_a_schema_that_cannot_be_used_is_refused(tmp_path: Path, schema: Any) -> None:
    """What breaks the draft, or needs what the file does not hold, is DocumentInvalid (exit 3) with one line."""
    with pytest.raises(DocumentInvalid) as refused:
        user_schema(Path(write_schema(tmp_path, schema)))
    assert str(tmp_path) in refused.value.what
    assert "\n" not in refused.value.what


@pytest.mark.parametrize("file", ["/dev/zero", "."])
def test_a_schema_that_is_no_file_is_refused(file: str) -> None:
    """A device or a folder is not read."""
    with pytest.raises(DocumentInvalid, match="cannot read"):
        user_schema(Path(file))


GOOD: list[tuple[Any, Any, str]] = [
    (True, [1], ""),
    ({"type": "object"}, {}, ""),
    ({"properties": {"a": {"type": "string"}}}, {"a": 1}, "$.a: 1 is not of type 'string'"),
    ({"items": {"$ref": "#"}, "type": "array"}, [[[]], [1]], "$[1][0]: 1 is not of type 'array'"),
    ({"$ref": "#/definitions/a", "definitions": {"a": {"const": 1}}}, 2, "$: 1 was expected"),
    ({"$id": "https://example.invalid/a", "$ref": "b", "$defs": {"b": {"$id": "b", "const": 1}}}, 1, ""),
    ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": 5}, "$.type: 5 is not valid under any of"),
    ({"$ref": "#here", "$defs": {"a": {"$anchor": "here", "const": 1}}}, 1, ""),
]


@pytest.mark.parametrize(("schema", "document", "said"), GOOD)
def test_a_good_schema_is_used(tmp_path: Path, schema: Any, document: Any, said: str) -> None:
    """References inside the file and to the draft itself are followed; the first violation is said with its place."""
    found = user_schema(Path(write_schema(tmp_path, schema)))(document)
    assert said == found[: len(said)] if said else not found


def test_a_pattern_cannot_hang_a_batch(batches: Batches) -> None:
    """A check that takes for ever ends with the item's time; its error says so, and the next item is checked."""
    began = time.monotonic()
    done = run(batches, {"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 60 + "b"}, {"a": "aa"}, timeout="3")
    assert 6 == done.code, done.err
    assert ["error", "success"] == batches.outcomes
    assert "the schema check took longer than" in batches.why()
    assert time.monotonic() - began < 30
    assert 0 == batches.run("verify", "latest").code


def test_a_schema_that_recurses_on_one_output_is_that_items_error(batches: Batches) -> None:
    """A schema that refers to itself without end for one property fails the item that has it, and no other."""
    schema = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}, "properties": {"a": {"$ref": "#/$defs/a"}}}
    done = run(batches, schema, {"a": 1}, {"b": 1})
    assert 6 == done.code, done.err
    assert ["error", "success"] == batches.outcomes
    assert "refers to itself" in batches.why()


def test_any_json_is_checked_as_it_is(batches: Batches) -> None:
    """Line ends, half characters, large numbers and a megabyte reach the checker unchanged."""
    schema = {"enum": [{"a": "x\r\n\u2028y"}, {"a": "\ud800"}, {"a": 2**70}, {"a": "é" * 500_000}]}
    file = write_schema(batches.folder, schema)
    children = Children(f"{batches.folder}#")
    checks = Checks(Path(file), batches.folder, children)
    try:
        assert [""] * 4 == [checks.first_violation(one, 20.0) for one in schema["enum"]]
        assert checks.first_violation({"a": "x"}, None).startswith("the output breaks its schema: $: ")
    finally:
        checks.close()


def test_many_slots_share_a_few_checkers(batches: Batches) -> None:
    """Outputs that come at once are checked by as many processes as there are cores, not by one for each slot."""
    file = batches.folder / "items.json"
    file.write_text(json.dumps([{"a": number} for number in range(40)]))
    schema = write_schema(batches.folder, {"type": "object"})
    words = ["--items", str(file), "--expect-schema", schema, "--max-workers", "40", "--skip-preflight"]
    done = batches.run("batch", "run", *words, "--", "echo", "{{ item }}")
    assert 0 == done.code, done.err
    assert 1 <= len(list(batches.dispatch.glob("checker_*.stderr"))) <= 64
    assert 40 == batches.outcomes.count("success")
