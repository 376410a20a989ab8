"""What items leave in their folders is sealed, verified, archived and pruned, whatever it is (issue 10: 11, 13, 14)."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.deep import nest, remove
from fixtures.plain_user import as_plain_user
from trailblazer.atomic import make_folder, remove_tree
from trailblazer.errors import DocumentInvalid, PlanUnusable
from trailblazer.record import contents, proof
from trailblazer.record.contents import EMPTY
from trailblazer.record.verification import Verdict, _check_files, verify_folder

TERABYTE = 1 << 40


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is deleted without recursion: pytest's own deleting recurses."""
    made = tmp_path / "folder"
    made.mkdir()
    yield made
    remove(made)


def _verdict(folder: Path) -> Verdict:
    """Return the verdict on the files alone: the folder is that of no dispatch."""
    verdict = Verdict()
    _check_files(folder, verdict)
    return verdict


def test_folders_in_folders_are_sealed_to_the_bottom(folder: Path) -> None:
    """1,500 nested folders are sealed, verified and archived, and the file at the bottom is proved."""
    nest(folder, 1500)
    assert () == proof.seal(folder).unread
    name = "d/" * 1500 + "output"
    assert {name: EMPTY} == proof.read_seal(folder)
    assert ([], []) == (_verdict(folder).findings, _verdict(folder).unproved)
    archived = proof.archive(folder, folder.with_name("archive"))
    assert f"archive/{name}" in [entry.name for entry in archived]
    remove(folder.with_name("archive"))


def test_many_names_are_sealed_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More folders than are held one by one are sealed as few are: each once, in the order of their names."""
    monkeypatch.setattr(contents, "_MOST_LOOSE", 4)
    names = [f"task_{number}" for number in range(30)]
    for name in names:
        (folder / name).mkdir()
        (folder / name / "result.json").touch()
    proof.seal(folder)
    assert [f"{name}/result.json" for name in sorted(names)] == list(proof.read_seal(folder))


def test_what_no_path_reaches_is_sealed_as_unread(folder: Path) -> None:
    """Below 4,096 bytes of folders nothing can be named: the seal says so, verify proves the rest, archive refuses."""
    (folder / "good").write_text("good\n")
    nest(folder, 60, "a" * 100)
    sealed = proof.seal(folder)
    assert 1 == len(sealed.unread)
    assert "File name too long" in sealed.unread[0]
    verdict = _verdict(folder)
    assert [] == verdict.findings
    assert ["File name too long" in line for line in verdict.unproved] == [True]
    assert ["1 files are there, unchanged, and no other"] == verdict.proved
    with pytest.raises(PlanUnusable, match="File name too long"):
        proof.archive(folder, folder.with_name("archive"))


def test_a_terabyte_of_nothing_is_not_read(folder: Path) -> None:
    """A sparse file of 1 TB is sealed by its size in no time; another size later is a finding."""
    with (folder / "output").open("wb") as hole:
        hole.truncate(TERABYTE)
    began = time.monotonic()
    assert (f"output (not read: {TERABYTE} bytes)",) == proof.seal(folder).unread
    verdict = _verdict(folder)
    assert ([], 1) == (verdict.findings, len(verdict.unproved))
    os.truncate(folder / "output", TERABYTE + 1)
    assert [f"output cannot be read: not read: {TERABYTE + 1} bytes"] == _verdict(folder).findings
    os.truncate(folder / "output", 0)
    assert ["output was changed"] == _verdict(folder).findings
    assert time.monotonic() - began < 30  # reading it takes half an hour


def test_a_journal_of_a_terabyte_is_a_finding(folder: Path) -> None:
    """Verify does not read a journal that a hostile item has made endless."""
    for name in ("journal.ndjson", "dispatch_manifest.json"):
        with (folder / name).open("wb") as hole:
            hole.truncate(TERABYTE)
    proof.seal(folder)
    assert [True] == ["is too large" in finding for finding in verify_folder(folder, None, "nobody").findings]


def test_pipes_and_sockets_are_sealed_as_what_they_are(folder: Path) -> None:
    """A pipe and a socket are there or are not: neither is opened, and what takes their place is a finding."""
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(folder)  # the name of a socket has 107 bytes at most
        listening.bind("socket")
        os.chdir(here)
    proof.seal(folder)
    assert {"pipe": "p", "socket": "s"} == proof.read_seal(folder)
    assert [] == _verdict(folder).findings
    (folder / "pipe").unlink()
    (folder / "pipe").write_text("no pipe\n")
    assert ["pipe was changed"] == _verdict(folder).findings


def test_what_its_owner_locked_is_sealed_as_unread() -> None:
    """A file and a folder that a plain user may not read are named; verify says that nothing proves them."""

    def do(folder: Path) -> None:
        (folder / "locked").mkdir()
        (folder / "locked" / "inside").write_text("x")
        (folder / "file").write_text("x")
        (folder / "good").write_text("x")
        (folder / "locked").chmod(0)
        (folder / "file").chmod(0)
        names = {name.partition(" ")[0] for name in proof.seal(folder).unread}
        assert {"locked", "file"} == names, names
        verdict = _verdict(folder)
        assert ([], 2) == (verdict.findings, len(verdict.unproved)), verdict
        (folder / "locked").chmod(0o700)
        assert [] == _verdict(folder).findings, "what is unlocked later proves nothing, and breaks nothing"
        (folder / "locked" / "inside").unlink()
        (folder / "locked").rmdir()
        assert ["locked was removed"] == _verdict(folder).findings

    as_plain_user(do)


def test_what_is_locked_later_is_a_finding() -> None:
    """A folder that was sealed and cannot be listed any more is named, and so is each file in it."""

    def do(folder: Path) -> None:
        (folder / "later").mkdir()
        (folder / "later" / "inside").write_text("x")
        proof.seal(folder)
        (folder / "later").chmod(0)
        findings = _verdict(folder).findings
        assert all("cannot be read" in finding for finding in findings), findings
        assert 2 == len(findings), findings

    as_plain_user(do)


def test_a_bundle_that_cannot_be_read_whole_is_refused() -> None:
    """A locked folder in a bundle is exit 4 and is named: a part of a bundle is no archive."""

    def do(folder: Path) -> None:
        (folder / "bundle" / "locked").mkdir(parents=True)
        (folder / "bundle" / "locked").chmod(0)
        with pytest.raises(PlanUnusable, match=r"bundle/locked: Permission denied"):
            proof.archive(folder / "bundle", folder / "archive")

    as_plain_user(do)


def test_what_others_could_read_is_private_once_it_is_sealed(folder: Path) -> None:
    """Sealing takes from files and folders what is not their owner's; a file with a second name elsewhere keeps it."""
    (folder / "more").mkdir(mode=0o755)
    (folder / "more" / "program").write_text("x")
    (folder / "more" / "program").chmod(0o755)
    shared = folder.with_name("shared")
    shared.write_text("x")
    shared.chmod(0o644)
    (folder / "shared").hardlink_to(shared)
    (folder / "link").symlink_to(shared)
    proof.seal(folder)
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("more", "more/program", "shared")}
    assert {"more": 0o700, "more/program": 0o700, "shared": 0o644} == modes


@pytest.mark.parametrize("line", ["[" * 200_000, "5", '"name"', "{}", '["a"]', '["a", "b", "c"]'])
def test_a_seal_that_is_no_seal_is_a_finding(folder: Path, line: str) -> None:
    """A damaged SHA256SUMS is reported, however its lines are made."""
    (folder / proof.SEAL).write_text(f"# {line}\n")
    with pytest.raises(DocumentInvalid, match="holds lines that no seal has"):
        proof.read_seal(folder)
    assert f"{proof.SEAL} holds lines that no seal has" in verify_folder(folder, None, "nobody").findings


def test_an_archive_is_a_copy_of_the_very_bytes(folder: Path) -> None:
    """A file of several pieces is copied whole, and its digest is that of its bytes."""
    content = os.urandom((1 << 20) * 2 + 7)
    (folder / "large").write_bytes(content)
    target = folder.with_name("archive")
    assert [hashlib.sha256(content).hexdigest()] == [entry.sha256 for entry in proof.archive(folder, target)]
    assert content == (target / "large").read_bytes()


def test_a_deep_tree_can_be_made_and_deleted(tmp_path: Path) -> None:
    """Neither making nor deleting folders recurses, and no path is too long to delete."""
    made = tmp_path / "made"
    make_folder(made.joinpath(*["e"] * 1500))
    nest(made, 60, "a" * 100)
    (made / "kept").symlink_to(tmp_path)
    remove_tree(made)
    assert [] == list(tmp_path.iterdir())


def test_a_locked_tree_can_be_deleted_and_a_link_cannot() -> None:
    """What its owner locked goes as well; a link in place of the folder is refused, and what it names stays."""

    def do(folder: Path) -> None:
        (folder / "tree" / "locked" / "inner").mkdir(parents=True)
        (folder / "tree" / "locked" / "inner").chmod(0)
        (folder / "tree" / "locked").chmod(0)
        remove_tree(folder / "tree")
        assert not (folder / "tree").exists()
        (folder / "kept").mkdir()
        (folder / "link").symlink_to(folder / "kept")
        with pytest.raises(NotADirectoryError):
            remove_tree(folder / "link")
        assert (folder / "kept").is_dir()

    as_plain_user(do)
