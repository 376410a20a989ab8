"""Everything under var/ is its owner's alone, and the owner can use it, under any umask (issue 10: 26)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanes.embed.project import LIMIT
from lanes.items.batches import Batches
from trailblazer.atomic import make_folder

pytestmark = pytest.mark.proof

MAKE = 'echo made > "$0"; mkdir "$0.more"; : > "$0.more/file"; umask > "$1"'


@pytest.fixture
def with_database(batches: Batches) -> Iterator[Batches]:
    """Batches in a project whose server is stopped at the end."""
    yield batches
    assert 0 == batches.run("db", "stop").code


def wrong_modes(var: Path) -> list[str]:
    """Return what others may use, or what its owner may not."""
    found = []
    for entry in [var, *var.rglob("*")]:
        mode, rights = entry.lstat().st_mode, 0o700 if entry.is_dir() else 0o600
        if not entry.is_symlink() and (mode & 0o077 or mode & rights != rights):
            found.append(f"{stat.filemode(mode)} {entry.relative_to(var)}")
    # As root the server runs as another account, which passes through this folder; var/ itself is closed.
    return [one for one in found if one != "drwx--x--x postgres"]


@pytest.mark.parametrize("umask", ["0", "777"])
def test_a_whole_run_leaves_nothing_to_others(with_database: Batches, umask: str) -> None:
    """From documents to an answer, with a batch beside: every folder is 0700 and every file 0600."""
    batches = with_database
    (batches.folder / "docs").mkdir()
    (batches.folder / "docs" / "a.md").write_text("# A valve\n\nThe valve opens.\n")
    (batches.folder / "items.txt").write_text("a\nb\n")
    note = str(batches.folder / "umask")
    make = ["sh", "-c", MAKE, "{{ output_file }}", note]
    for words in (
        ["normalize", "docs", "--run", "r1"],
        ["chunk", "--run", "r1"],
        ["embed", "preflight", "--run", "r1"],
        ["embed", "plan-preflight"],
        ["dispatch", "plan=latest"],
        ["batch", "run", "--items", "items.txt", "--", *make],
        ["batch", "run", "--items", "items.txt", "--expect", "json", "--preflight", "go", "--", *make],
        ["ask", "which valve opens"],
        ["run"],
    ):
        before = ("sh", "-c", f'umask {umask}; exec "$@"', "sh")
        with batches.running(*words, before=before) as process:
            _, said = process.communicate(timeout=LIMIT)
        assert process.returncode == (6 if "--expect" in words else 0), (words, said)
        assert [] == wrong_modes(batches.var), words
    assert int(umask, 8) & 0o077 == int(Path(note).read_text(), 8), "a command has the umask of whoever started us"


def test_folders_above_a_folder_are_private_too(tmp_path: Path) -> None:
    """Every folder that is made on the way is 0700 where nothing masks it."""
    before = os.umask(0)
    try:
        made = make_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [0o700] * 3 == [stat.S_IMODE(one.stat().st_mode) for one in (made, made.parent, made.parent.parent)]
