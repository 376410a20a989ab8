"""What the history of nights says of folders that cannot be read, and of nights that left work running."""

from __future__ import annotations

import os
import subprocess

import pytest

from lanes.embed.project import TRAILBLAZER
from lanes.issues.nights import Nights, issue


@pytest.fixture
def broken(nights: Nights) -> Nights:
    """A project with one night whose journal is broken."""
    nights.configure("stub", issues=[issue(1), issue(2)])
    assert nights.night("max-dispatch=1").code == 0
    with (nights.dispatch / "journal.ndjson").open("a") as journal:
        journal.write("no line of a journal\n")
    return nights


def test_a_broken_night_is_named(broken: Nights) -> None:
    """The table has the others; a warning says which folder is left out."""
    history = broken.night("--history")
    assert history.code == 0
    assert f"Warning: {broken.dispatch.name} is left out: " in history.err
    assert history.out.splitlines()[-1] == "0 nights: 0 done, 0 failed, 0 fallbacks, US$ 0.0000"


def test_the_claims_of_a_broken_night_stay(broken: Nights) -> None:
    """Nobody knows what it did: its issue is not taken again."""
    night = broken.night()
    assert night.code == 0
    assert broken.ran == ["t-1", "t-2"]
    assert "t-1: not taken: already claimed by trailblazer@" in night.err


def test_a_folder_that_may_not_be_read_is_no_bug(nights: Nights) -> None:
    """As a plain user a folder of root's is left out, with a warning."""
    nights.configure("stub", issues=[issue(1)])
    assert nights.night().code == 0
    nights.dispatch.chmod(0)
    plain = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []
    words = [*plain, *TRAILBLAZER, "nightly", "--history"]
    done = subprocess.run(
        words, cwd=nights.folder, env=nights.settings(), capture_output=True, text=True, timeout=60, check=False
    )
    nights.dispatch.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert "is left out: " in done.stderr
