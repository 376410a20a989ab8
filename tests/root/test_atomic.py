"""Files that appear whole or not at all (rule 1)."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from trailblazer.atomic import (
    cut_torn_tail,
    digest_of,
    make_folder,
    remove_drafts,
    whole_file,
    write_lines,
    write_whole,
)
from trailblazer.errors import StorageTrouble

of_a_file = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.text(some.characters(exclude_categories=["Cs"]))),
    lambda inner: some.one_of(some.lists(inner, max_size=3), some.dictionaries(some.text("abé", max_size=3), inner)),
    max_leaves=6,
)
# Writes A and B in turn until it is asked to end; every reader must see one of them.
WRITER = """
import sys
from pathlib import Path
from trailblazer.atomic import write_whole
while True:
    for letter in "AB":
        write_whole(Path(sys.argv[1]), letter * 200_000, durable=False)
"""


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@of_a_file
@given(
    contents=some.lists(some.one_of(some.binary(max_size=50), some.text("aé\n", max_size=50)), min_size=1, max_size=3)
)
def test_a_file_holds_what_was_written_last(tmp_path: Path, contents: list[bytes | str]) -> None:
    """Text is written as UTF-8, bytes as they are, the newest in the place of what was there; no draft stays."""
    target = tmp_path / "a" / "file é"
    for content in contents:
        write_whole(target, content, durable=False)
        assert (content.encode() if isinstance(content, str) else content) == target.read_bytes()
    assert [target] == list(target.parent.iterdir())


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    """Rule 7: only the owner reads what is written and enters what is made, whatever the umask lets through."""
    before = os.umask(0)
    try:
        target = tmp_path / "made" / "file"
        write_whole(target, "x")
        write_whole(tmp_path / "made" / "open", "x", mode=0o644)
    finally:
        os.umask(before)
    assert [0o700, 0o600, 0o644] == [_mode(file) for file in (target.parent, target, target.with_name("open"))]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    """What was there stays as it was, and no draft stays, when the writer gives up half-way."""
    target = tmp_path / "file"
    write_whole(target, "old")
    with pytest.raises(StorageTrouble if error is OSError else error), whole_file(target) as file:
        file.write(b"half of the n")
        raise error(5, "no")
    assert ("old", [target]) == (target.read_text(), list(tmp_path.iterdir()))


def test_a_reader_beside_a_writer_sees_one_content_or_the_other(tmp_path: Path) -> None:
    """G6: while another process writes a file again and again, each look at it finds it whole."""
    target = tmp_path / "file"
    write_whole(target, "A" * 200_000)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target)]) as writer:
        seen: set[bytes] = set()
        looks = 0
        while (len(seen) < 2 or looks < 300) and writer.poll() is None:
            content = target.read_bytes()
            looks += 1
            assert 200_000 == len(content)
            assert len(set(content)) == 1
            seen.add(content[:1])
        writer.kill()
    assert {b"A", b"B"} == seen


def test_drafts_of_killed_writers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """What a killed writer left is known by its name; files that only look alike stay."""
    with pytest.raises(SystemExit), whole_file(tmp_path / "a.json") as file:
        draft = Path(f"/proc/self/fd/{file.fileno()}").readlink().name
        raise SystemExit
    kept = sorted(["a.json", ".hidden", "half.tmp", f"x{draft}", f"{draft}~", ".a.json.12.tmp"])
    for name in (*kept, draft):
        (tmp_path / name).write_text("")
    remove_drafts(tmp_path)
    assert kept == sorted(file.name for file in tmp_path.iterdir())


@of_a_file
@given(records=some.lists(JSON, max_size=8))
def test_lines_are_records(tmp_path: Path, records: list[object]) -> None:
    """NDJSON has a line a record, whatever the record holds, and says how many."""
    target = tmp_path / "records.ndjson"
    assert len(records) == write_lines(target, records, durable=False)
    content = target.read_bytes()
    assert records == [json.loads(line) for line in content.split(b"\n")[:-1]]
    assert content == b"" or content.endswith(b"\n")


@of_a_file
@given(
    lines=some.lists(some.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=5),
    tail=some.one_of(some.binary(max_size=20), some.integers(65530, 131080).map(bytes)),
)
def test_a_torn_tail_is_cut_and_the_lines_stay(tmp_path: Path, lines: list[bytes], tail: bytes) -> None:
    """What follows the last newline goes, however long it is, and the file is left where the next line belongs."""
    file, torn = tmp_path / "journal", tail.replace(b"\n", b"")
    whole = b"".join(line + b"\n" for line in lines)
    file.write_bytes(whole + torn)
    with file.open("r+b") as opened:
        assert (len(torn), len(whole)) == (cut_torn_tail(opened), opened.tell())
    assert whole == file.read_bytes()


@pytest.mark.parametrize("deep", [False, True])
def test_a_file_in_the_place_of_a_folder_is_reported(tmp_path: Path, deep: bool) -> None:
    """A file where a folder belongs is exit 8 with its path and a hint, never a traceback."""
    (tmp_path / "logs").write_text("")
    target = tmp_path / "logs" / "deep" / "file" if deep else tmp_path / "logs" / "file"
    with pytest.raises(StorageTrouble) as raised:
        write_whole(target, "x")
    assert (8, True, True) == (raised.value.exit_code, "logs" in raised.value.what, bool(raised.value.hint))
    with pytest.raises(FileExistsError):
        make_folder(tmp_path, exist_ok=False)


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """A write that finds no space is exit 8 with a hint to free some."""
    with pytest.raises(StorageTrouble, match="No space left") as raised, whole_file(tmp_path / "file") as file:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        file.write(b"x")
    assert "Free some space" in raised.value.hint
    assert [] == list(tmp_path.iterdir())


def test_a_file_has_the_digest_that_sha256sum_gives(tmp_path: Path) -> None:
    """The digest is that of the whole content; a missing file, and a link that is not followed, are refused."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"abc" * 1_000_000)
    link.symlink_to(file)
    expected = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert expected == digest_of(file)
    assert expected == digest_of(link)
    with pytest.raises(StorageTrouble, match=f"cannot read {link}"):
        digest_of(link, follow_links=False)
    with pytest.raises(StorageTrouble, match=r"cannot read .*gone"):
        digest_of(tmp_path / "gone")


def test_the_longest_of_names_can_be_written(tmp_path: Path) -> None:
    """A draft needs no longer name than its target: 255 bytes are written whole."""
    target = tmp_path / ("ü" * 127 + "x")
    write_whole(target, "content")
    assert [target] == list(tmp_path.iterdir())


def test_every_folder_that_is_made_is_private(tmp_path: Path) -> None:
    """A folder and each parent that was missing is 0700 whatever the umask; a parent that was there stays as it is."""
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        made = make_folder(tmp_path / "var" / "logs" / "cron")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (made, *made.parents[:3])]
    assert [0o700, 0o700, 0o700, 0o755] == modes
