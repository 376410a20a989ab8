"""A sealed folder: what is proved, and that nothing can be done to it unseen (E6, rule 10)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trailblazer import proof
from trailblazer.dispatching import Limits
from trailblazer.outcomes import Outcome, Status
from trailblazer.paths import Places
from trailblazer.verification import verify_folder
from unit.engine.told_lane import ToldLane, carry, opened_for

PARTS = st.sampled_from([b"a", b"\n", b"\r", b"\\", b" ", b"\xff", b"\xc3\xa9", b"\xc2\x85"])
NAMES = st.lists(PARTS, min_size=1, max_size=6).map(b"".join)


def _change(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _swap_for_a_link(file: Path) -> None:
    copy = file.parent.parent / "copy"
    shutil.copy(file, copy)
    file.unlink()
    file.symlink_to(copy)


TAMPERING: dict[str, Callable[[Path], object]] = {
    "one bit": _change,
    "cut": lambda file: os.truncate(file, file.stat().st_size - 1),
    "removed": Path.unlink,
    "emptied": lambda file: file.write_bytes(b""),
    "renamed": lambda file: file.rename(file.with_name("other")),
    "one more": lambda file: file.with_name("one more").write_text("x"),
    "one more link": lambda file: file.with_name("link").symlink_to("/etc/passwd"),
    "a link instead": _swap_for_a_link,
}


@pytest.fixture
def sealed(tmp_path: Path) -> tuple[Path, str]:
    """A dispatch folder of three items that was sealed, with its seal."""
    opened = opened_for(Places(tmp_path, tmp_path / "var"), 3)
    bad = Outcome(Status.ERROR, "no")
    carry(ToldLane(opened, lambda item, _number: bad if item.index else Outcome(Status.SUCCESS)), 3, Limits(1))
    (opened.folder / "task_0").mkdir()
    (opened.folder / "task_0" / "output").write_text("what it made")
    (opened.folder / "task_0" / "latest").symlink_to("output")
    opened.complete(6, "2 of 3 failed")
    return opened.folder, opened.seal()


def test_a_sealed_folder_is_proved(sealed: tuple[Path, str]) -> None:
    """What was sealed verifies, links of a worker included, and sha256sum agrees without us."""
    folder, seal = sealed
    verdict = verify_folder(folder, seal, "here")
    assert [] == verdict.findings
    assert [] == verdict.unproved
    checked = subprocess.run(["sha256sum", "--strict", "-c", proof.SEAL], cwd=folder, capture_output=True, check=False)
    assert (0, b"") == (checked.returncode, checked.stderr)


@pytest.mark.parametrize("how", list(TAMPERING))
@pytest.mark.parametrize("what", ["journal.ndjson", "dispatch_manifest.json", "task_0/output", "SHA256SUMS"])
def test_whatever_is_done_to_it_is_seen(sealed: tuple[Path, str], how: str, what: str) -> None:
    """Changing, cutting, removing, renaming, adding and linking are all found, wherever they are done."""
    folder, seal = sealed
    TAMPERING[how](folder / what)
    assert verify_folder(folder, seal, "here").findings


def test_a_link_that_points_elsewhere_is_seen(sealed: tuple[Path, str]) -> None:
    """Where a worker's link points to is sealed too."""
    folder, seal = sealed
    (folder / "task_0" / "latest").unlink()
    (folder / "task_0" / "latest").symlink_to("/etc/passwd")
    assert ["task_0/latest was changed"] == verify_folder(folder, seal, "here").findings


def test_a_folder_that_was_sealed_anew_is_seen(sealed: tuple[Path, str]) -> None:
    """Who changes a file and makes the sums fit is found by the seal that is kept elsewhere."""
    folder, seal = sealed
    (folder / "task_0" / "output").write_text("what it should have made")
    (folder / proof.SEAL).unlink()
    assert seal != proof.seal(folder)
    assert [True] == [
        "is not the one that was sealed" in finding for finding in verify_folder(folder, seal, "x").findings
    ]
    assert [] == verify_folder(folder, None, "nobody knows").findings
    assert verify_folder(folder, None, "nobody knows").unproved


@given(names=st.sets(NAMES, max_size=6), inner=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_name_can_be_sealed(tmp_path_factory: pytest.TempPathFactory, names: set[bytes], inner: bool) -> None:
    """Names with line breaks, backslashes, or that are no text are read back from the seal as they are."""
    folder = tmp_path_factory.mktemp("sealed")
    for name in names:
        base = os.fsencode(folder)
        if inner:
            base = os.path.join(base, b"inner")  # noqa: PTH118 - bytes
            os.makedirs(base, exist_ok=True)  # noqa: PTH103 - bytes
        with open(os.path.join(base, name), "wb") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(name)
    proof.seal(folder)
    found = {str(file.relative_to(folder)): proof.mark(file) for file in proof.walk(folder) if file.name != proof.SEAL}
    assert found == proof.read_seal(folder)
    checked = subprocess.run(["sha256sum", "--quiet", "-c", proof.SEAL], cwd=folder, capture_output=True, check=False)
    assert 0 == checked.returncode or not names
