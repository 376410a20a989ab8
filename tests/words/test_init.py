"""`trailblazer init` makes a project; without one a verb says where its state goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trailblazer.cli import main

SAID = "This is no project: state goes to"


def test_init_makes_a_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new project has the shipped configuration, the prompts and a .gitignore, and no state."""
    assert 0 == main(["init", str(tmp_path / "new")])
    out, err = capsys.readouterr()
    files = {str(file.relative_to(tmp_path / "new")) for file in (tmp_path / "new").rglob("*") if file.is_file()}
    assert {"config/.trailblazer.yaml", ".gitignore", "prompts/100_fix_issue.md"} <= files
    assert {str(tmp_path / "new" / name) for name in files} == set(out.splitlines())
    assert "Next:" in err
    monkeypatch.chdir(tmp_path / "new" / "prompts")
    assert 0 == main(["config", "show", "json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["dispatch.workers"]["origin"].startswith(str(tmp_path / "new" / "config"))
    assert not (tmp_path / "new" / "var").exists()


def test_init_leaves_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there keeps what it holds, and is named; a second time nothing is made."""
    (tmp_path / ".gitignore").write_text("mine\n")
    assert (0, 0) == (main(["init", str(tmp_path)]), main(["init", str(tmp_path), "json"]))
    out, err = capsys.readouterr()
    assert "mine\n" == (tmp_path / ".gitignore").read_text()
    assert f"{tmp_path / '.gitignore'} is there already" in err
    second = json.loads(out[out.index("{\n") :])
    assert ("unchanged", []) == (second["state"], second["paths"])


def test_init_dry_run_makes_nothing(tmp_path: Path) -> None:
    """With dry-run nothing is made."""
    assert 0 == main(["init", str(tmp_path / "new"), "dry-run"])
    assert not (tmp_path / "new").exists()


def test_state_never_appears_by_surprise(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a project a verb that makes ./var says so, once; in a project, or with var named by a variable, not."""
    (tmp_path / "items").write_text("a\n")
    monkeypatch.chdir(tmp_path)
    words = ["batch", "run", "items=items", "--", "true"]
    assert [0, 0] == [main(words), main(words)]
    assert 1 == capfd.readouterr().err.count(f"{SAID} {tmp_path / 'var'}. `trailblazer init`")
    monkeypatch.setenv("TRAILBLAZER_PATHS_VAR", str(tmp_path / "elsewhere"))
    assert 0 == main(words)
    monkeypatch.delenv("TRAILBLAZER_PATHS_VAR")
    assert [0, 0] == [main(["init", "project"]), main(["config", "show"])]
    monkeypatch.chdir(tmp_path / "project")
    assert 0 == main(["batch", "run", "items=../items", "--", "true"])
    assert SAID not in capfd.readouterr().err
