"""A password in db.url is never shown, whatever its form and whoever is asked; what is no DSN is exit 3 everywhere."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from trailblazer.cli import main

# Both ends of every password: neither may be seen, so that no part of one is taken for another part of the address.
HEAD, TAIL = "Zq7xW", "9vKpT"
ASKING = (["db", "doctor"], ["db", "doctor", "--json"], ["db", "status"], ["db", "migrate"], ["db", "psql"])
# What db.url may look like, and whether libpq can read it.
FORMS = {
    "postgresql://me:{quoted}@127.0.0.1:1/x": True,
    "postgres://me:{quoted}@127.0.0.1:1/x?sslmode=disable": True,
    "postgresql://127.0.0.1:1/x?user=me&password={quoted}": True,
    "host=127.0.0.1 port=1 user=me password={escaped}": True,
    "host=127.0.0.1 port=1 user=me sslpassword={escaped}": True,
    "postgresql://me:{quoted}@127.0.0.1:port/x": False,
    "postgresql://me:{quoted}@@127.0.0.1:1/x": False,
    "postgresql://me:{quoted}/@127.0.0.1:1/x": False,
    "postgresql://me:{quoted}?@x@127.0.0.1:1/x": False,
    "postgresql://me:{quoted}@127.0.0.1:1/x?nonsense={quoted}": False,
    "postgresql://me:{quoted}@[127.0.0.1:1/x": False,
    "me:{quoted}@127.0.0.1:1/x": False,
    "{quoted}": False,
    "{quoted}=1": False,
    "password={escaped} {escaped} host=127.0.0.1 port=1": False,
    "host=127.0.0.1 port=1 password='{quoted}": False,
    "host=127.0.0.1 port={quoted}": False,
    "host=127.0.0.1 port=1 connect_timeout={quoted}": False,
    "host=127.0.0.1 port=1 keepalives_idle={quoted}": False,
    "host=127.0.0.1 port=1 sslmode={quoted}": False,
}
TEXT = some.text(
    some.characters(codec="utf-8", exclude_characters="\0\r\n", exclude_categories=["Cs", "Cc"]), max_size=12
)


def quoted(text: str) -> str:
    """Return text as a URI has it."""
    return "".join(c if c.isascii() and c.isalnum() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


def escaped(text: str) -> str:
    """Return text as a keyword's value has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextlib.contextmanager
def project(**settings: str) -> Iterator[Path]:
    """A new working folder with nothing but these variables of ours."""
    before = dict(os.environ)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        try:
            for key in [key for key in os.environ if key.startswith(("TRAILBLAZER_", "PG"))]:
                del os.environ[key]
            os.environ.update(settings)
            os.chdir(name)
            yield Path(name)
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)


def said_by(words: list[str]) -> tuple[int, str]:
    """Return the exit code of a command and all that it says."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(words)
    return code, out.getvalue()


@settings(max_examples=60, deadline=None)
@given(form=some.sampled_from(sorted(FORMS)), middle=TEXT)
@example(form="{quoted}=1", middle='"')
@example(form="me:{quoted}@127.0.0.1:1/x", middle="'")
def test_no_command_shows_a_password(form: str, middle: str) -> None:
    """G5, rule 7: in each form of an address nothing of the password is shown; what is no DSN is exit 3, the rest 8."""
    password = HEAD + middle + TAIL
    url = form.format(quoted=quoted(password), escaped=escaped(password))
    with project(TRAILBLAZER_DB_URL=url):
        for words in ASKING:
            code, said = said_by(words)
            assert (8 if FORMS[form] else 3, False, False) == (code, HEAD in said, TAIL in said), said
        code, said = said_by(["config", "show"])
        assert (0, False, False) == (code, HEAD in said, TAIL in said), said


@pytest.mark.parametrize(
    "text",
    [
        "db: {{url: [{0}]}}",
        "db: {{url: {{password: {0}}}}}",
        "db:\n  url:\n    postgresql://me:{0}@h/x: 1",
        "db:\n  postgresql://me:{0}@h/x:",
        "db: {{{0}}}",
        "db:\n  {0}: 1\n  {0}: 2",
        "postgresql://me:{0}@h/x:",
        "postgresql://me:{0}@h/x",
        "db: postgresql://me:{0}@h/x",
        "db: {{url: *{0}}}",
        "db: {{url: !{0} x}}",
        "db: {{url: !!int {0}}}",
        "db: {{url: &{0} x, other: &{0} y}}",
        "db: {{url: '{0}",
        'db: {{url: "{0}',
        "db: {{url: {0}: {0}}}",
    ],
)
def test_a_mistake_in_the_file_shows_no_password(text: str) -> None:
    """G5, rule 7: whatever stands where the address should, the mistake is named and not what stands there."""
    with project() as folder:
        (folder / "config").mkdir()
        (folder / "config" / ".trailblazer.yaml").write_text(text.format(HEAD) + "\n")
        for words in (["db", "status"], ["config", "show"]):
            code, said = said_by(words)
            assert (3, False) == (code, HEAD in said), said


@pytest.mark.parametrize("value", ["12345678", "[Zq7xW]", "{password: Zq7xW}", "2026-11-21", "0x5A71", "true", "~"])
def test_a_variable_is_text_and_shows_no_password(value: str) -> None:
    """G5, rule 7: what YAML would take for something else is an address all the same, and no good one."""
    with project(TRAILBLAZER_DB_URL=value):
        code, said = said_by(["db", "status"])
        assert (3, False) == (code, value in said), said
