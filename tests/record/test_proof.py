"""Archives, seals and their verification: whatever is done to a sealed folder is a finding."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from dispatch.engine_alone import resume_or_begin
from trailblazer.atomic import digest_of
from trailblazer.errors import PlanUnusable, StorageTrouble
from trailblazer.paths import Places
from trailblazer.record import contents, proof
from trailblazer.record.journal import Journal
from trailblazer.record.lines import Settled
from trailblazer.record.verification import Verdict, verify_folder

ITEMS = 3
NOBODY = 65534
NAMES = (
    some.one_of(
        some.binary(min_size=1, max_size=12).map(os.fsdecode),
        some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
        some.text("\\nr\n\r \u2028é", min_size=1, max_size=6),
    )
    .map(lambda name: name.replace("/", "_").replace("\0", "_"))
    .filter(lambda name: name not in {".", ".."})
)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sealed folder of a dispatch, which no test changes."""
    root = tmp_path_factory.mktemp("sealed")
    assert 0 == resume_or_begin(Places(root, root / "var"), ITEMS, root / "diary")
    (folder,) = (root / "var" / "logs" / "dispatch").glob("2*")
    return folder


@pytest.fixture
def copy(sealed: Path, tmp_path: Path) -> Path:
    """A copy of the sealed folder to be tampered with."""
    target = tmp_path / sealed.name
    shutil.copytree(sealed, target, symlinks=True)
    return target


def _verdict(folder: Path, sealed: Path) -> Verdict:
    return verify_folder(folder, hashlib.sha256((sealed / proof.SEAL).read_bytes()).hexdigest(), "the database")


def _names(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_an_untouched_folder_is_proved(sealed: Path) -> None:
    """What was sealed and left alone has no finding, and three things are proved of it; `sha256sum -c` agrees."""
    verdict = _verdict(sealed, sealed)
    assert ([], [], 3) == (verdict.findings, verdict.unproved, len(verdict.proved)), verdict
    assert set(_names(sealed)) == {*proof.read_seal(sealed), proof.SEAL}
    assert 0 == subprocess.run(["sha256sum", "--quiet", "-c", proof.SEAL], cwd=sealed, check=False).returncode


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=some.data())
def test_a_changed_byte_anywhere_is_a_finding(copy: Path, sealed: Path, choice: some.DataObject) -> None:
    """One byte changed in any file, the seal among them, is a finding; put back, there is none."""
    name = choice.draw(some.sampled_from([name for name in _names(sealed) if (sealed / name).stat().st_size]))
    file, content = copy / name, (sealed / name).read_bytes()
    place = choice.draw(some.integers(0, len(content) - 1))
    byte = choice.draw(some.integers(1, 255))
    changed = bytearray(content)
    changed[place] ^= byte
    file.write_bytes(changed)
    verdict = _verdict(copy, sealed)
    file.write_bytes(content)
    expected = f"{proof.SEAL} is not the one that was sealed" if name == proof.SEAL else f"{name} was changed"
    assert [] != [finding for finding in verdict.findings if finding.startswith(expected)], verdict.findings
    assert [] == _verdict(copy, sealed).findings


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _extend(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")


def _link(file: Path) -> None:
    file.replace(file.with_name("kept elsewhere"))
    file.symlink_to("kept elsewhere")


def _make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _rename(file: Path) -> None:
    file.replace(file.with_name("renamed"))


DEEDS: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "cut": (_cut, {"{} was changed"}),
    "extended": (_extend, {"{} was changed"}),
    "removed": (Path.unlink, {"{} was removed"}),
    "renamed": (_rename, {"{} was removed", "{}/renamed was added"}),
    "a link to itself": (_link, {"{} is no longer a regular file", "{}/kept elsewhere was added"}),
    "a folder": (_make_folder, {"{} was removed"}),
    "a pipe": (_make_pipe, {"{} is no longer a regular file"}),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_is_done_to_any_file_is_a_finding(copy: Path, sealed: Path, deed: str) -> None:
    """Each file that is cut, extended, removed, renamed, made a link, a folder or a pipe is named with what it is."""
    do, telling = DEEDS[deed]
    for name in proof.read_seal(sealed):
        do(copy / name)
        findings = set(_verdict(copy, sealed).findings)
        expected = {
            finding.format(name) if finding.startswith("{} ") else str(Path(name).parent / finding.removeprefix("{}/"))
            for finding in telling
        }
        assert set() == expected - findings, (name, findings)
        shutil.rmtree(copy)
        shutil.copytree(sealed, copy, symlinks=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, is_link=some.booleans(), where=some.sampled_from(["", "plan_preflight", "task_1/attempt_1", "new"]))
def test_whatever_is_added_is_a_finding(copy: Path, sealed: Path, name: str, is_link: bool, where: str) -> None:
    """A file or a link of any name in any folder that was not sealed is named, a report too."""
    file = copy / where / name
    if file.exists() or file.is_symlink():
        return
    file.parent.mkdir(exist_ok=True)
    if is_link:
        file.symlink_to("nowhere")
    else:
        file.write_bytes(b"")
    assert [f"{file.relative_to(copy)} was added"] == _verdict(copy, sealed).findings
    file.unlink()
    assert [] == _verdict(copy, sealed).findings


def test_a_seal_that_is_gone_or_made_anew_is_a_finding(copy: Path, sealed: Path) -> None:
    """Whoever changes a file and seals anew is found out by the seal that is kept elsewhere, and by the story."""
    file = copy / "plan.txt"
    file.write_text("item-7\n")
    proof.seal(copy)
    with_kept, without = _verdict(copy, sealed), verify_folder(copy, None, "the database is away")
    assert [True, False] == [finding.startswith(proof.SEAL) for finding in with_kept.findings]
    assert ["plan.txt is not the file that went in"] == without.findings
    assert ["the database is away"] == [why.rpartition(": ")[2] for why in without.unproved]
    (copy / proof.SEAL).unlink()
    assert [True] == [f"has no {proof.SEAL}" in finding for finding in _verdict(copy, sealed).findings]


DAMAGES = ("journal", "last line", "foreign line", "counts", "manifest", "no manifest", "half a manifest", "archive")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_story_that_was_made_up_is_a_finding_even_under_a_new_seal(copy: Path, damage: str) -> None:
    """Journal, manifest and archives have to agree, whoever sealed them."""
    journal, manifest = copy / "journal.ndjson", copy / "dispatch_manifest.json"
    lines = journal.read_bytes().splitlines(keepends=True)
    reported = json.loads(manifest.read_text())
    if damage == "journal":
        journal.write_bytes(b"".join(lines).replace(b'"item":"item-1"', b'"item":"item-9"'))
    elif damage == "last line":
        journal.write_bytes(b"".join(lines[:-1]))
    elif damage == "foreign line":
        journal.write_bytes(b"")
        Journal(journal).append(Settled(item="item-0", index=7, attempt=1, status="success"))
        reported["journalHead"] = hashlib.sha256(journal.read_bytes()[:-1]).hexdigest()
    elif damage == "counts":
        reported["counts"]["success"] += 1
    elif damage == "manifest":
        reported["status"] = "wonderful"
    elif damage == "no manifest":
        reported = []
    elif damage == "archive":
        (copy / "plan_preflight" / "ready.txt").write_text("other runs\n")
    manifest.write_text(json.dumps(reported)[: 40 if damage == "half a manifest" else None])
    proof.seal(copy)
    assert [] != verify_folder(copy, None, "nobody").findings


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=some.sets(NAMES, min_size=1, max_size=6))
def test_any_name_is_sealed_and_read_back(tmp_path: Path, names: set[str]) -> None:
    """A seal names every file, whatever its name holds, and can be taken off again."""
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names -= {proof.SEAL}
    for name in names:
        (folder / name).write_bytes(os.fsencode(name))
    first = proof.seal(folder)
    if not any("\r" in name or name == "-" for name in names):  # older coreutils know no \r; - is stdin to all
        assert 0 == subprocess.run(["sha256sum", "--quiet", "-c", proof.SEAL], cwd=folder, check=False).returncode
    assert {name: hashlib.sha256(os.fsencode(name)).hexdigest() for name in names} == proof.read_seal(folder)
    assert first == proof.seal(folder)
    assert [True, False] == [proof.unseal(folder), proof.unseal(folder)]


def test_an_archive_copies_files_and_follows_no_link(tmp_path: Path) -> None:
    """Rule 7: what a bundle links to is written down and not copied; a pipe or a socket in it is passed over."""
    source, target = tmp_path / "bundle", tmp_path / "dispatch" / "plan_preflight"
    (source / "more").mkdir(parents=True)
    (tmp_path / "secret").write_text("word\n")
    (source / "ready.txt").write_text("r\n")
    (source / "more" / "empty").write_text("")
    (source / "more" / "link").symlink_to(tmp_path / "secret")
    (source / "folder link").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(source / "pipe")
    reported = {entry.name: entry.link or entry.sha256 for entry in proof.archive(source, target)}
    assert {
        "plan_preflight/ready.txt": hashlib.sha256(b"r\n").hexdigest(),
        "plan_preflight/more/empty": contents.EMPTY,
        "plan_preflight/more/link": str(tmp_path / "secret"),
        "plan_preflight/folder link": str(tmp_path),
    } == reported
    assert ["more/empty", "ready.txt"] == _names(target)
    with pytest.raises(StorageTrouble):
        digest_of(source / "more" / "link", follow_links=False)


def test_what_is_too_large_to_archive_is_refused(tmp_path: Path) -> None:
    """A folder of more than 4 GiB is no bundle: it is refused with exit 4 before it is read."""
    (tmp_path / "huge").mkdir()
    with (tmp_path / "huge" / "core").open("wb") as hole:
        hole.truncate(contents.MOST_BYTES + 1)
    with pytest.raises(PlanUnusable, match="too large"):
        proof.archive(tmp_path / "huge", tmp_path / "target")


def test_a_link_that_was_there_is_sealed_too(tmp_path: Path) -> None:
    """What a worker linked is no finding, until it points elsewhere or is no link any more."""
    (tmp_path / "output").write_text("what it made")
    link = tmp_path / "latest"
    link.symlink_to("output")
    proof.seal(tmp_path)
    assert {"latest": "-> output", "output": digest_of(tmp_path / "output")} == proof.read_seal(tmp_path)
    link.unlink()
    link.symlink_to("/etc/passwd")
    proof.seal(tmp_path)
    assert "-> /etc/passwd" == proof.read_seal(tmp_path)["latest"]
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", proof.SEAL], cwd=tmp_path, capture_output=True, check=False
    )
    assert (0, b"") == (checked.returncode, checked.stderr)


def test_a_file_that_may_not_be_read_is_a_finding() -> None:
    """A user who may not read a file gets one line, not a traceback; tried as a plain user (rule 4)."""
    child = os.fork()
    if child == 0:  # pragma: no cover - it ends here
        with contextlib.suppress(BaseException):
            if os.geteuid() == 0:
                os.setgroups([])
                os.setuid(NOBODY)
            folder = Path(tempfile.mkdtemp())
            (folder / "output").write_text("what it made")
            proof.seal(folder)
            (folder / "output").chmod(0)
            findings = verify_folder(folder, None, "nobody").findings
            shutil.rmtree(folder)
            said = [finding for finding in findings if finding.startswith("output cannot be read: ")]
            os._exit(not said or "Permission denied" not in said[0])
        os._exit(2)
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
