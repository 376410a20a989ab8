"""`config show` prints what applies and no password (rule 7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from trailblazer.cli import main


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://me:s3cret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:s3@cr:et@host/db", "postgresql://me:***@host/db"),
        ("postgresql://host/db?user=me&password=s3cret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("host=h password=s3cret user=me", "host=h password=*** user=me"),
        ("host=h password = 's3 cr\\'et s3' user=me", "host=h password = *** user=me"),
        ("host=h PASSWORD='s3cret", "host=h PASSWORD=***"),
        ("postgresql://me@host:5432/db", "postgresql://me@host:5432/db"),
    ],
)
def test_no_password_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dsn: str, shown: str
) -> None:
    """A DSN of every form is shown without its password, as lines and as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAILBLAZER_DB_URL", dsn)
    for words in ([], ["--json"]):
        assert 0 == main(["config", "show", *words])
        out = capsys.readouterr().out
        assert f'"{shown}"' in out
        assert "s3" not in out
