"""Words with `{{ item }}` in them become the words of a command: Jinja2 in its sandbox, strict about unknown names."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trailblazer.errors import Trouble, WordsWrong

NAMES = ("item", "index", "task_id", "output_file", "prompt_file", "attempt")
_MARK = re.compile(r"\{\{|\{%|\{#")

Render = Callable[[Mapping[str, Any]], str]


class TemplateFailed(Trouble):
    """A template cannot be filled in for one item: it lacks a field that is named."""


def join_marks(words: Sequence[str]) -> list[str]:
    """Return words with what a shell split inside `{{ … }}` put together again, so that quotes are not needed."""
    joined: list[str] = []
    is_open = False
    for word in words:
        if is_open:
            joined[-1] += " " + word
        else:
            joined.append(word)
        is_open = joined[-1].count("{{") > joined[-1].count("}}")
    return joined


def has_marks(text: str) -> bool:
    """Say whether a text has anything to fill in."""
    return bool(_MARK.search(text))


def compile_text(text: str, *, for_shell: bool = False, names: Sequence[str] = NAMES) -> Render:
    """Return what fills a text in; a mistake in it, or a name that is not in `names`, is refused (exit 2).

    A value that is no text is filled in as JSON. `for_shell` quotes every value for sh.
    """
    finish = _quoted if for_shell else _as_text
    parts = re.split(r"\{\{\s*(" + "|".join(names) + r")\s*\}\}", text)
    if not any(map(has_marks, parts[::2])):
        first, pairs = parts[0], list(zip(parts[1::2], parts[2::2], strict=True))
        return lambda values: first + "".join([finish(values[name]) + text for name, text in pairs])
    return _compile_with_jinja(text, finish, names)


def _compile_with_jinja(text: str, finish: Callable[[Any], str], names: Sequence[str]) -> Render:
    import jinja2
    import jinja2.meta
    import jinja2.sandbox

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, finalize=finish, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["shell"] = _quoted
    try:
        unknown = jinja2.meta.find_undeclared_variables(environment.parse(text)) - set(names)
        template = environment.from_string(text)
    except jinja2.TemplateError as error:
        raise WordsWrong(f"the template {text[:80]!r} is wrong: {error}", "It is Jinja2: {{ item }}.") from None
    if unknown:
        raise WordsWrong(f"the template names {', '.join(sorted(unknown))}", f"There are: {', '.join(names)}.")

    def render(values: Mapping[str, Any]) -> str:
        try:
            return template.render(values)
        except Exception as error:  # noqa: BLE001 - what a template does with one item's fields is that item's failure
            item = values.get("item")
            known = f" (the item has: {', '.join(map(str, list(item)[:20]))})" if isinstance(item, dict) else ""
            raise TemplateFailed(f"the template cannot be filled in: {error}{known}") from None

    return render


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value).__name__ == "StrictUndefined":
        return str(value)  # which refuses, with the name that is missing
    return json.dumps(value, ensure_ascii=False)


def _quoted(value: Any) -> str:
    return shlex.quote(_as_text(value))
