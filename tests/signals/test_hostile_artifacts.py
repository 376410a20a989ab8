"""What may lie in the place of an artifact: none of it stops the signals beside it (S2)."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from signals.acting import LIMIT, contexts, reasons, reply
from trailblazer.signals import BatchFileDispatcher, FileDispatcher, read_manifest
from trailblazer.signals.suite import Suite
from trailblazer.signals.tokens import record_of

GIGABYTE = 1 << 30
DEEP = 100_000
NOBODY = 65534
Spoil = Callable[[Suite, int], None]


def bytes_of(content: str) -> Spoil:
    """Return what writes a text, in which N stands for the number."""
    return lambda suite, number: _write(suite, number, content.replace("N", str(number)).encode("latin-1"))


def _write(suite: Suite, number: int, content: bytes) -> None:
    suite.artifact(number).write_bytes(content)


def sparse(suite: Suite, number: int) -> None:
    """Leave a file of a gigabyte that takes no room."""
    with suite.artifact(number).open("wb") as file:
        file.truncate(GIGABYTE)


def a_socket(suite: Suite, number: int) -> None:
    """Leave a socket."""
    here = Path.cwd()
    os.chdir(suite.artifacts)  # the name of a socket has 107 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{number}.json")
    finally:
        os.chdir(here)


def a_full_folder(suite: Suite, number: int) -> None:
    """Leave a folder with something in it."""
    suite.artifact(number).mkdir()
    (suite.artifact(number) / "inner").write_text("x")


def link_out(suite: Suite, number: int) -> None:
    """Leave a link to a right answer outside of the suite."""
    outside = suite.folder.parent / "outside.json"
    outside.write_text(f'{{"dispatch_id": {number}, "data": {{}}}}')
    suite.artifact(number).symlink_to(outside)


def strange_names(suite: Suite, number: int) -> None:
    """Leave files with names that nobody expects in every folder, and half an answer."""
    for folder in (suite.artifacts, suite.taken, suite.signals, suite.batches, suite.rejected):
        for name in ("new\nline.json", f"{number}\n.json", "²", "٣.json", "-1.json", "x" * 250, "\udcff.json", ".json"):
            (folder / name).write_text("{}")
    _write(suite, number, b"{")


HOSTILE: dict[str, Spoil] = {
    "half a JSON": bytes_of('{"dispatch_id": N, "da'),
    "nothing": bytes_of(""),
    "NUL bytes": bytes_of("\0" * 1000),
    "no UTF-8": bytes_of('{"dispatch_id": N, "data": {"x": "\xff"}}'),
    "a text as number": bytes_of('{"dispatch_id": "N", "data": {}}'),
    "a truth as number": bytes_of('{"dispatch_id": true, "data": {}}'),
    "no number": bytes_of('{"data": {}}'),
    "null": bytes_of("null"),
    "a list": bytes_of("[N]"),
    "data is a list": bytes_of('{"dispatch_id": N, "data": []}'),
    "neither data nor error": bytes_of('{"dispatch_id": N}'),
    "error is no text": bytes_of('{"dispatch_id": N, "error": {"a": 1}}'),
    "infinity": bytes_of('{"dispatch_id": N, "data": {}, "usage": {"input_tokens": 1e999}}'),
    "NaN": bytes_of('{"dispatch_id": N, "data": {}, "usage": {"cost_usd": NaN}}'),
    "too dear": bytes_of('{"dispatch_id": N, "data": {}, "usage": {"cost_usd": 1' + "0" * 400 + "}}"),
    "negative tokens": bytes_of('{"dispatch_id": N, "data": {}, "usage": {"output_tokens": -1}}'),
    "deep": bytes_of('{"dispatch_id": N, "data": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}"),
    "deep brackets": bytes_of("[" * DEEP),
    "a gigabyte": sparse,
    "a pipe": lambda suite, number: os.mkfifo(suite.artifact(number)),
    "a socket": a_socket,
    "a folder": a_full_folder,
    "a link out": link_out,
    "a link to nothing": lambda suite, number: suite.artifact(number).symlink_to("nowhere"),
    "a link to itself": lambda suite, number: suite.artifact(number).symlink_to(suite.artifact(number)),
    "a device": lambda suite, number: suite.artifact(number).symlink_to("/dev/zero"),
    "strange names": strange_names,
}


def settle_beside(folder: Path, spoil: Spoil) -> str:
    """Dispatch a batch of four whose second artifact is spoilt, check the others, and return its error."""
    single = FileDispatcher(folder / "suite", timeout=1e6)
    batch = BatchFileDispatcher(single).post(contexts(4))
    spoilt = batch.numbers[1]
    spoil(single.suite, spoilt)
    written = {number: reply(single.suite, number) for number in batch.numbers if number != spoilt}
    found = {result.dispatch_id: result for result in batch.results()}
    assert written == {number: result.artifact for number, result in found.items() if result.status == "done"}
    assert {"pending": 0, "in_progress": 0, "done": 3, "error": 1} == read_manifest(
        single.suite.manifest(batch.id)
    ).document()["counts"]
    single.close()
    assert found[spoilt].error
    return found[spoilt].error


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_artifact_ends_its_signal_alone(tmp_path: Path, kind: str) -> None:
    """The other three answer, the batch is done, and what was there is in rejected/ with its reason."""
    error = settle_beside(tmp_path, HOSTILE[kind])
    suite = Suite(tmp_path / "suite")
    (reason,) = reasons(suite)
    assert f"the artifact is not accepted: {reason}" == error
    assert len(error) < 500
    assert error.isprintable()
    (kept,) = (file for file in suite.rejected.glob("[1-9]*.1.json") if ".reason" not in file.name)
    assert os.path.lexists(kept)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("a gigabyte", "it cannot be read: it is too large: 1073741824 bytes, at most 16777216 are read"),
        ("a pipe", "it is a pipe, not a regular file"),
        ("a socket", "it is a socket, not a regular file"),
        ("a folder", "it is a folder, not a regular file"),
        ("a link out", "it is a link, not a regular file"),
        ("no number", "it is no artifact: $: 'dispatch_id' is a required property"),
        ("deep brackets", "it is not JSON: it is nested more than 100 deep"),
    ],
)
def test_the_reason_says_what_it_was(tmp_path: Path, kind: str, why: str) -> None:
    """A person can act on the reason."""
    assert f"the artifact is not accepted: {why}" == settle_beside(tmp_path, HOSTILE[kind])


@pytest.mark.parametrize(
    "content",
    [
        '{"dispatch_id": N, "data": {"x": "\\ud800"}}',
        '{"dispatch_id": N, "data": {"x": "\\u0000"}}',
        '{"dispatch_id": 99, "dispatch_id": N, "data": {}}',
        '{"dispatch_id": N, "data": {}, "more": {"of": "this"}, "usage": {"model": "x", "input_tokens": 1e15}}',
        '{"dispatch_id": N, "data": {"n": 1' + "0" * 300 + "}}",
    ],
)
def test_what_is_odd_but_an_answer_is_taken(tmp_path: Path, content: str) -> None:
    """Of two equal keys the last counts; what UTF-8 cannot hold and further keys are the reader's business."""
    single = FileDispatcher(tmp_path, timeout=1e6)
    post = single.post(contexts(1))
    bytes_of(content)(single.suite, 1)
    (result,) = post.results()
    single.close()
    assert "done" == result.status, result.error
    assert record_of("c0", "triage", "?").ended(result.artifact, result.usage).document()


def as_a_plain_user(act: Callable[[Path], None]) -> None:
    """Do something in a folder of its own, as a user without rights: in a child process when we are root."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid():
            act(Path(name))
            return
        os.chown(name, NOBODY, NOBODY)
        child = os.fork()
        if not child:
            code = 1
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                act(Path(name))
                code = 0
            finally:
                os._exit(code)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def unreadable_file(suite: Suite, number: int) -> None:
    """Leave an answer that nobody may read."""
    reply(suite, number)
    suite.artifact(number).chmod(0)


def locked_folder(suite: Suite, number: int) -> None:
    """Leave a folder that cannot even be moved."""
    a_full_folder(suite, number)
    suite.artifact(number).chmod(0)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (unreadable_file, "the artifact is not accepted: it cannot be read: Permission denied"),
        (locked_folder, "the artifact is not accepted: it is a folder, not a regular file"),
    ],
)
def test_what_a_plain_user_may_not_touch(spoil: Spoil, error: str, tmp_path: Path) -> None:
    """A file without rights, and a folder that cannot be moved, end their signal alone."""
    settle_beside(tmp_path, bytes_of("null"))  # everything is imported before the rights are given up

    def settle(folder: Path) -> None:
        assert error == settle_beside(folder, spoil)
        for left in (folder / "suite" / "artifacts").iterdir():
            left.chmod(0o700)

    as_a_plain_user(settle)


def test_a_rejected_folder_that_is_a_file_stops_nobody(tmp_path: Path) -> None:
    """When nothing can be put aside the signals end all the same."""

    def spoil(suite: Suite, number: int) -> None:
        suite.rejected.rmdir()
        suite.rejected.write_text("x")
        _write(suite, number, b"{")

    assert settle_beside(tmp_path, spoil).startswith("the artifact is not accepted: it is not JSON")


def test_a_folder_of_artifacts_that_is_made_anew_is_read(tmp_path: Path) -> None:
    """Whoever removes artifacts/ takes the watch away; the slow look finds what comes then."""
    single = FileDispatcher(tmp_path, timeout=LIMIT)
    post = single.post(contexts(1))
    results = post.results()
    single.mailbox.expect(99, lambda: None)  # the watch is set
    single.suite.artifacts.rmdir()
    single.suite.artifacts.mkdir()
    reply(single.suite, 1)
    assert "done" == next(results).status
    single.close()
