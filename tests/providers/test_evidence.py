"""A success is believed when what it should have made is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from trailblazer.providers.command import Command
from trailblazer.providers.evidence import TreeUnknown, state_of
from trailblazer.providers.order import Evidence, Expectation, Finished
from trailblazer.record.outcomes import Outcome


def git(tree: Path, *words: str) -> None:
    """Run git with a name of its own, whatever the machine is configured to."""
    who = ["-c", "user.name=T", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", tree, *who, *words], check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with one commit, in which one file is changed and one is new."""
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "Begin")
    (folder / "a.txt").write_text("two\n")
    (folder / " odd name").write_text("new\n")
    return folder


def outcome_of(evidence: Evidence, folder: Path, tree: Path | None = None, said: str = "", do: str = "") -> Outcome:
    """Return what a command comes to that printed something and did something in its working folder."""
    provider = Command((), None, None, None, 1 << 20, Expectation(evidence=evidence))
    order = provider.order({"output_file": str(folder / "output")}, str(folder), None, None, str(tree or ""))
    (folder / "worker.stdout").write_text(said)
    if do:
        subprocess.run(["sh", "-c", do], cwd=tree or folder, check=True)
    ended = Finished(0, None, "", 1.0, 0.0, 0.0, 0, len(said), 0, truncated=False)
    return provider.judge(order, ended, lambda *_: "").outcome


@pytest.mark.parametrize(
    "do",
    [
        "echo three > a.txt",
        "echo newer > ' odd name'",
        "rm a.txt",
        "git add a.txt; git -c user.name=T -c user.email=t@e.invalid commit -qm More",
        "mkdir below; echo x > below/file",
        "chmod +x a.txt; git checkout -q -b other; git reset -q --hard",
    ],
)
def test_a_change_is_evidence(tree: Path, tmp_path: Path, do: str) -> None:
    """A commit, a changed, new or lost file, also one that had been changed before, is a change."""
    assert "success" == outcome_of(Evidence.CHANGES, tmp_path, tree, do=do).status


@pytest.mark.parametrize("do", ["", "touch a.txt", "cat a.txt", "git status"])
def test_nothing_changed_is_no_success(tree: Path, tmp_path: Path, do: str) -> None:
    """Exit 0 without a change is an error with the cause no_change."""
    outcome = outcome_of(Evidence.CHANGES, tmp_path, tree, do=do)
    assert f"it says success, and nothing has changed in {tree}" == outcome.reason
    assert {"code": "runner_error", "cause": "no_change"} == {key: outcome.details[key] for key in ("code", "cause")}


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    """Changes can be seen in a git checkout only."""
    with pytest.raises(TreeUnknown, match="git says nothing of"):
        outcome_of(Evidence.CHANGES, tmp_path, tmp_path)


def test_a_state_reads_no_pipe_and_follows_no_link(tree: Path) -> None:
    """A pipe, a link to nowhere and a link to a device in the folder hold nothing up."""
    subprocess.run(["mkfifo", tree / "pipe"], check=True)
    (tree / "link").symlink_to("/dev/zero")
    (tree / "gone").symlink_to("nowhere")
    first = state_of(tree)
    assert first == state_of(tree)
    (tree / "gone").unlink()
    (tree / "gone").symlink_to("elsewhere")
    assert first != state_of(tree)


@pytest.mark.parametrize(("said", "expected"), [("done\n", "success"), (" \n", "error"), ("", "error")])
def test_an_answer_is_evidence(tmp_path: Path, said: str, expected: str) -> None:
    """An answer of blanks is none."""
    assert expected == outcome_of(Evidence.ANSWER, tmp_path, said=said).status


@pytest.mark.parametrize(
    ("do", "expected"),
    [("echo x > output", "success"), (": > output", "error"), ("", "error"), ("mkdir output", "error")],
)
def test_a_file_is_evidence(tmp_path: Path, do: str, expected: str) -> None:
    """The output file must be a file with something in it; what is printed does not count."""
    outcome = outcome_of(Evidence.FILE, tmp_path, said="x", do=do)
    assert expected == outcome.status
