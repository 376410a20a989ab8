"""The pictures of the README show what the program shows today."""

from __future__ import annotations

from pathlib import Path

from reports.pictures import DIGEST, LIVE_VIEW, PICTURES, digest_line, live_view, page

LARGEST = 200_000  # bytes of a picture


def test_the_picture_of_the_live_view_is_new(tmp_path: Path) -> None:
    """The live view, drawn from the same facts, is the picture; else `just pictures` draws it anew."""
    assert LIVE_VIEW.read_text() == live_view(tmp_path)


def test_the_picture_of_the_report_is_new(tmp_path: Path) -> None:
    """The page, made from the same facts, is the one that was photographed; else `just pictures` does it anew."""
    assert DIGEST.read_text() == digest_line(page(tmp_path))


def test_a_picture_is_small_and_asks_nobody() -> None:
    """No picture is larger than 200 KB, and the SVG loads nothing."""
    assert [] == [file.name for file in PICTURES.iterdir() if file.stat().st_size > LARGEST]
    assert "url(http" not in LIVE_VIEW.read_text().replace('"', "")
