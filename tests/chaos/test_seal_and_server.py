"""What becomes of a seal when the database that keeps it goes away at the wrong moment."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.batch import RESUME, batch_words, diary_of
from chaos.servers import OwnServer, own_server
from chaos.watching import kill, wait_until
from lanes.items.batches import Batches
from trailblazer.paths import CONFIG_NAME

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server that only these tests use."""
    with own_server() as running:
        yield running


@pytest.fixture
def kept(server: OwnServer, tmp_path: Path) -> Batches:
    """A project whose seals the server keeps."""
    folder = tmp_path / "project"
    (folder / CONFIG_NAME).parent.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text("{}\n")
    return Batches(folder, server.dsn)


def test_a_resume_that_is_killed_before_its_seal_is_kept_leaves_no_forgery(kept: Batches, server: OwnServer) -> None:
    """A 6: a seal that the database could not keep is not proved by it, but it is not called forged either."""
    diary = diary_of(kept)
    with kept.running(*batch_words(kept, ["plain"], 60)) as process:
        assert wait_until(diary.begun, 90)
        process.send_signal(signal.SIGINT)
        assert 130 == process.wait(90)
    with kept.running(*RESUME) as process:
        assert wait_until(lambda: sum(diary.begun().values()) == 2, 90)
        server.freeze()
        try:
            (diary.folder / "quick").touch()
            sealed = wait_until((kept.dispatch / "SHA256SUMS").is_file, 90)
            kill(process.pid)
            process.wait()
        finally:
            server.thaw()
    proved = kept.run("verify", "latest")
    assert (True, 0) == (sealed, proved.code), proved.out
    assert 0 == kept.run(*RESUME).code
    assert 0 == kept.run("verify", "latest").code


def test_a_resume_without_the_database_that_keeps_the_seal_is_safe_to_repeat(kept: Batches, server: OwnServer) -> None:
    """Exit 8 and nothing changed when the seal cannot be withdrawn; the same command works later."""
    (diary_of(kept).folder / "quick").touch()
    assert 0 == kept.run(*batch_words(kept, ["plain"], 0)).code
    server.stop("fast")
    try:
        away = kept.run(*RESUME)
    finally:
        server.start()
    assert (8, 0) == (away.code, kept.run("verify", "latest").code), away.err
    assert 0 == kept.run(*RESUME).code


def test_a_resume_of_a_folder_whose_seal_was_removed_is_refused(kept: Batches) -> None:
    """A 5: whoever deletes SHA256SUMS cannot have the folder sealed anew without --force; the database knows better."""
    (diary_of(kept).folder / "quick").touch()
    assert 0 == kept.run(*batch_words(kept, ["plain"], 0)).code
    (kept.dispatch / "SHA256SUMS").unlink()
    refused = kept.run(*RESUME)
    assert (6, True) == (refused.code, "SHA256SUMS was removed" in refused.err), refused.err
    assert [0, 0] == [kept.run(*RESUME, "--force").code, kept.run("verify", "latest").code]
