"""Which plan a dispatch works from, and what it refuses before anything is made (E1-E3, E8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.embed.project import Project, says_one_thing

pytestmark = pytest.mark.proof


def _source(project: Project, *words: str) -> str:
    """Return what the one line says that names the source of a dry run's plan."""
    done = project.run("dispatch", *words, "dry-run")
    assert 0 == done.code, done.err
    (line,) = done.err.splitlines()
    return line.removeprefix("Dry run: ").partition(" would dispatch")[0]


def test_the_first_plan_source_that_applies_is_taken(project: Project) -> None:
    """A named bundle or file goes before the newest bundle by time, then temp_runs_to_embed.txt (E1, E2)."""
    (project.var / "temp_runs_to_embed.txt").write_text("delta\n")
    file = project.write_plan("charlie")
    assert f"file {project.var / 'temp_runs_to_embed.txt'}" == _source(project)
    old, newest = (
        project.var / "plan_preflight" / "20260102_030405",
        project.var / "plan_preflight" / "20260101T000000Z",
    )
    for folder in (old, newest, folder_without := project.var / "plan_preflight" / "20991231T235959Z"):
        folder.mkdir(parents=True)
        if folder is not folder_without:
            (folder / "ready.txt").write_text("var/runs/alpha\n")
            (folder / "plan_preflight.json").write_text("{}")
    assert f"newest bundle {old.name}" == _source(project)
    assert f"newest bundle {old.name}" == _source(project, "plan=latest")
    assert f"newest bundle {old.name}" == _source(project, "--plan", "latest")
    assert f"bundle {newest.name}" == _source(project, "--plan-preflight-dir", str(newest))
    assert f"bundle {newest.name}" == _source(project, f"plan={newest}")
    assert f"bundle {newest.name}" == _source(project, f"plan={newest / 'ready.txt'}")
    assert f"file {file.name}" == _source(project, "--plan-file=list.txt")
    assert f"file {file.name}" == _source(project, "plan=list.txt")


def test_a_dry_run_prints_the_ids_in_order_and_does_nothing(project: Project) -> None:
    """A dry run lists each id once, sorted, and makes no dispatch, no claim and no vector (E3)."""
    project.write_plan("charlie:9", "# none", "", "var/runs/alpha/", "bravo", "alpha")
    done = project.run("dispatch", "plan=list.txt", "dry-run")
    assert (0, "alpha\nbravo\ncharlie\n") == (done.code, done.out)
    assert ([], {}) == (project.dispatches, project.vectors())
    assert [] == project.query("SELECT run_id FROM processed_runs")


@pytest.mark.parametrize(
    ("words", "content", "telling"),
    [
        ((), None, "no plan"),
        (("plan=latest",), None, "no plan"),
        (("plan=nowhere",), None, "nowhere"),
        (("plan-file=nowhere",), None, "nowhere"),
        (("plan-preflight-dir=nowhere",), None, "nowhere"),
        (("plan-preflight-dir=.",), None, "ready.txt"),
        (("plan=.",), None, "ready.txt"),
        (("plan=list.txt",), b"# nothing\n\n", "no run id"),
        (("plan=list.txt",), b"alpha\na/b\n", "list.txt:2: 'a/b'"),
        (("plan=list.txt",), b"alpha\n..\n", "list.txt:2: '..'"),
        (("plan=list.txt",), b"var/runs/../../etc\n", "list.txt:1"),
        (("plan=list.txt",), b"--force\n", "list.txt:1"),
        (("plan=list.txt",), b"\xff\xfe\n", "UTF-8"),
        (("plan=list.txt", "qa=nowhere"), b"alpha\n", "nowhere"),
        (("resume=latest",), None, "no dispatch"),
        (("resume=20260101T000000Z",), None, "20260101T000000Z"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused(
    stock: Path, words: tuple[str, ...], content: bytes | None, telling: str, tmp_path: Path
) -> None:
    """What is missing, empty or unsafe is exit 4, one line and a hint, without a database, and nothing is made (E2)."""
    project = Project(tmp_path, "postgresql://127.0.0.1:1/none")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / ".trailblazer.yaml").write_text((stock / "config" / ".trailblazer.yaml").read_text())
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    done = project.run("dispatch", *words)
    assert (4, True) == (done.code, says_one_thing(done)), done.err
    assert telling in done.err
    assert not (project.var / "logs" / "dispatch").exists()


def test_a_dispatch_of_the_other_lane_is_refused_with_the_right_command(project: Project) -> None:
    """`resume=latest` on a batch, and of a batch on a dispatch, is exit 4, one line, and names the verb that can."""
    project.write_plan("alpha")
    assert 0 == project.run("batch", "run", "--items", "list.txt", "--", "true", "{}").code
    wrong = project.run("dispatch", "resume=latest")
    assert (4, True) == (wrong.code, says_one_thing(wrong)), wrong.err
    assert f"trailblazer batch run --resume {project.dispatch.name}\n" in wrong.err
    assert 0 == project.run("dispatch", "plan=list.txt").code
    for word in ("resume=latest", "retry-failed=latest"):
        wrong = project.run("batch", "run", word)
        assert (4, True) == (wrong.code, says_one_thing(wrong)), wrong.err
        assert f"trailblazer dispatch --resume {project.dispatch.name}\n" in wrong.err


def test_two_plans_at_once_are_refused(project: Project) -> None:
    """Two plan sources on one command line are words that are not understood."""
    project.write_plan("alpha")
    done = project.run("dispatch", "plan=list.txt", "plan-preflight-dir=.")
    assert (2, True) == (done.code, says_one_thing(done)), done.err
