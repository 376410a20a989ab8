"""Templates: strict, in a sandbox, one word each (P1)."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailblazer.errors import WordsWrong
from trailblazer.providers.templates import TemplateFailed, compile_text, join_marks


def fill(text: str, item: Any, **more: Any) -> str:
    """Return a text with an item filled in."""
    values = {"item": item, "index": 3, "task_id": "task_3", "output_file": "o", "prompt_file": "p", "attempt": 1}
    return compile_text(text)({**values, **more})


@given(item=st.text(), before=st.text("ab é'\"$"), after=st.text("ab é'\"$"))
def test_an_item_is_filled_in_as_it_is(item: str, before: str, after: str) -> None:
    """No value is interpreted: not by Jinja, not by HTML, not by anything."""
    assert before + item + after == fill(before + "{{ item }}" + after, item)
    assert before + item + after == fill(before + "{{ item | trim if false else item }}" + after, item)


@given(item=st.text())
def test_for_a_shell_every_value_is_one_word(item: str) -> None:
    """With --shell a value is quoted, so that sh reads back exactly what it was."""
    line = compile_text("run {{ item }} {{ item.upper() }}", for_shell=True)({"item": item})
    if "\0" not in item:
        assert ["run", item, item.upper()] == shlex.split(line)


def test_fields_and_all_names_can_be_used() -> None:
    """Fields of objects, the index, folders and the attempt are there; what is no text is JSON."""
    item = {"id": 7, "tags": ["a", "b"], "name": "x"}
    assert "7 a x 3 task_3 o p 1" == fill(
        "{{ item.id }} {{ item['tags'][0] }} {{ item.name }} {{ index }} {{ task_id }} {{ output_file }}"
        " {{ prompt_file }} {{ attempt }}",
        item,
    )
    assert item == json.loads(fill("{{ item }}", item))
    assert "null true 1.5" == " ".join(fill("{{ item }}", value) for value in (None, True, 1.5))


@pytest.mark.parametrize("text", ["{{ itme }}", "{{ item", "{% for %}", "{{ item | nofilter }}", "{{ os }}"])
def test_a_mistake_is_told_before_anything_runs(text: str) -> None:
    """A name that no item has, or a template that is none, is refused at once (exit 2)."""
    with pytest.raises(WordsWrong):
        compile_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ item.missing }}",
        "{{ item.a.b }}",
        "{{ item.__class__.__mro__ }}",
        "{{ item.id.__init__.__globals__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ 1 // 0 * index }}",
    ],
)
def test_what_an_item_lacks_or_may_not_is_its_own_failure(text: str) -> None:
    """A missing field, and a way out of the sandbox, fail that item with a reason."""
    with pytest.raises(TemplateFailed, match="cannot be filled in"):
        fill(text, {"id": "x", "a": 1})


def test_a_missing_field_is_told_with_those_there_are() -> None:
    """Whoever mistyped a field sees its right name in the reason."""
    with pytest.raises(TemplateFailed, match=r"no attribute 'nme' \(the item has: id, name\)"):
        fill("{{ item.nme }}", {"id": 1, "name": "x"})


def test_marks_that_a_shell_split_are_joined() -> None:
    """`-- cmd --id {{ item.id }}` needs no quotes."""
    assert ["cmd", "--id", "{{ item.id }}", "x"] == join_marks(["cmd", "--id", "{{", "item.id", "}}", "x"])
    assert ["{{ a }}/{{ b }}"] == join_marks(["{{", "a", "}}/{{", "b", "}}"])
