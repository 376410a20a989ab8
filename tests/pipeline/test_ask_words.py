"""The words of `ask` that are refused before anything is loaded or started (issue 10: 17)."""

from __future__ import annotations

from pathlib import Path

import pytest

from trailblazer.cli import main
from trailblazer.paths import CONFIG_NAME


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["caf\udce9"], "ask: the question is not text in UTF-8"),
        (["fine", "\udcff", "--json"], "ask: the question is not text in UTF-8"),
        ([" ", "\t"], "ask: a question is needed"),
        (["q", "--most", "99999999999999999999"], "ask: argument --most: 99999999999999999999 is out of range"),
        (["q", "--most", "0"], "ask: --most is 1 to 1000, not 0"),
        (["q", "--most", "-5"], "ask: --most is 1 to 1000, not -5"),
        (["q", "--most", "9" * 5000], "ask: argument --most: invalid int value"),
    ],
)
def test_words_that_are_no_question_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    """Bytes that are not text and numbers out of bounds are one line, a hint and exit code 2."""
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).touch()
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["ask", *words])
    first, *hints = capsys.readouterr().err.splitlines()
    assert first.startswith(message)
    assert all(hint.startswith("  ") for hint in hints)
    assert not (tmp_path / "var").exists()


def test_a_model_that_is_not_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model's name in bytes that are not text is exit code 3, at OpenAI's address and at any other."""
    monkeypatch.chdir(tmp_path)
    for url in ("https://api.openai.com/v1", "http://127.0.0.1:9/v1"):
        monkeypatch.setenv("TRAILBLAZER_EMBED_BASE_URL", url)
        assert 3 == main(["ask", "q", "--provider", "openai", "--model", "\udcff"])
        assert "model" in capsys.readouterr().err.splitlines()[0]
