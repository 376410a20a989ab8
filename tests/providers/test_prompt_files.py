"""prompts/ holds prompts named NNN_slug.md and their index; other files are archived, never deleted (B8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from trailblazer.cli import main
from trailblazer.paths import CONFIG_NAME

CONFORMING = ["000_shared_guardrails.md", "010_fix-the-build.md", "020_Ünïcode & (more) [x] | y.md", "030_a.b_c.md"]
OTHERS = ["10_short.md", "040_.md", "050-no-underscore.md", "060_text.txt", "notes.md", "١٢٣_digits.md"]


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of prompts with good and other names, a folder that is named as a prompt, and an index."""
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).touch()
    folder = tmp_path / "prompts"
    folder.mkdir()
    for name in [*CONFORMING, *OTHERS]:
        (folder / name).write_text(f"# Title of {name}\n")
    (folder / "070_folder.md").mkdir()
    (folder / "070_folder.md" / "inside").write_text("kept")
    (folder / "README.md").write_text("| [010_fix-the-build.md](010_fix-the-build.md) | my own words |\n")
    monkeypatch.chdir(tmp_path)
    return folder


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def test_other_files_are_archived_whole(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of the form [0-9]{3}_.+.md stay, hyphens and all; the rest is moved with its content, a line for each."""
    assert 0 == main(["prompts", "archive"])
    said = capsys.readouterr()
    archive = Path(said.out.strip())
    assert sorted([*CONFORMING, "README.md"]) == names_in(prompts)
    assert sorted([*OTHERS, "070_folder.md"]) == names_in(archive)
    assert "kept" == (archive / "070_folder.md" / "inside").read_text()
    assert "prompts: notes.md is not named NNN_slug.md: archived" in said.err.splitlines()


def test_a_dry_run_moves_nothing(prompts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run names the same files and leaves them."""
    before = names_in(prompts)
    assert 0 == main(["prompts", "archive", "--dry-run"])
    said = capsys.readouterr()
    assert "" == said.out
    assert len(OTHERS) + 1 == len(said.err.splitlines())
    assert before == names_in(prompts)


def test_the_index_links_every_prompt_and_keeps_what_it_says(prompts: Path) -> None:
    """Each prompt has a row that any Markdown reader can follow; words in the index stay, also the second time."""
    for _ in range(2):
        assert 0 == main(["prompts", "index"])
        rows = [line for line in (prompts / "README.md").read_text().splitlines() if line.startswith("| [")]
        assert len(CONFORMING) == len(rows)
        assert "| [010_fix-the-build.md](010_fix-the-build.md) | my own words |" == rows[1]
        assert (
            r"| [020_Ünïcode & (more) \[x\] \| y.md](020_%C3%9Cn%C3%AFcode%20%26%20%28more%29%20%5Bx%5D%20%7C%20y.md)"
            r" | Title of 020_Ünïcode & (more) \[x\] \| y.md |"
        ) == rows[2]
