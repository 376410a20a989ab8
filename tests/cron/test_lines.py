"""The lines of config/crontab are checked before anything is installed, and mean the same in every shell (N7)."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from cron.jobs import JobProject
from repo.tree import CHECKOUT
from trailblazer.config import load_config
from trailblazer.cron.lines import next_time_of, read_lines, render
from trailblazer.errors import ConfigWrong

NOW = datetime(2026, 11, 21, 3, 16, 59)  # a Saturday


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("17 3 * * *", "2026-11-21 03:17"),
        ("17 2 * * *", "2026-11-22 02:17"),
        ("0 6-13 * * *", "2026-11-21 06:00"),
        ("*/20 22-23 1,15 * *", "2026-12-01 22:00"),
        ("0 4 * dec mon-fri", "2026-12-01 04:00"),
        ("0 4 * * 7", "2026-11-22 04:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
    ],
)
def test_when_a_line_comes_due(schedule: str, expected: str) -> None:
    """A schedule has a next time, as cron counts it."""
    assert expected == f"{next_time_of(schedule, NOW):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    "schedule",
    [
        *(
            "60 3 * * *",
            "17 24 * * *",
            "17 3 0 * *",
            "17 3 * 13 *",
            "17 3 * * 8",
            "17 3 * *",
            "5-3 3 * * *",
            "*/0 3 * * *",
        ),
        *(
            "17 3 L * *",
            "17 3 * * 1#2",
            "17 3 15W * *",
            "17 3 ? * *",
            "17 3 * * someday",
            "0 0 30 2 *",
            "@nightly",
            "a 3 * * *",
        ),
    ],
)
def test_a_wrong_schedule_is_refused(schedule: str) -> None:
    """What some cron does not take, or what never comes, is refused."""
    with pytest.raises(ValueError, match=r"\w"):
        next_time_of(schedule, NOW)


def test_all_mistakes_at_once(project: JobProject) -> None:
    """Every wrong line is named with its place, and nothing is returned."""
    project.write_crontab(
        "# a comment",
        "17 3 * * * scripts/cron.sh run",
        "61 3 * * * scripts/cron.sh run",
        "17 3 * * * rm -rf var",
        "PATH=/bin",
        "17 3 * * * scripts/cron.sh runn",
        "17 3 * * * scripts/cron.sh cron run run",
        "17 3 * * * scripts/cron.sh --name ../x run",
        "17 3 * * * scripts/cron.sh batch run -- date +%H",
        "17 3 * * * scripts/cron.sh run 'half",
        r"17 3 * * * scripts/cron.sh batch run -- echo 'a\\\\b'",
        "17 3 * * *",
        f"17 3 * * * scripts/cron.sh batch run -- {'x' * 1000}",
    )
    with pytest.raises(ConfigWrong) as refused:
        read_lines(load_config(start=project.folder))
    said = [refused.value.what, *refused.value.hint.splitlines()[:-1]]
    numbers = [int(line.removeprefix(str(project.folder / "config/crontab")).split(":")[1]) for line in said]
    assert list(range(3, 14)) == numbers


def test_a_project_without_lines(project: JobProject) -> None:
    """A project without config/crontab is exit 3, one without active lines exit 4."""
    done = project.trailblazer("cron", "install")
    assert 3 == done.returncode
    assert "cannot read" in done.stderr
    project.write_crontab("# nothing yet")
    assert 4 == project.trailblazer("cron", "install").returncode


def test_shipped_lines_are_right(tmp_path: Path) -> None:
    """Each line of the shipped config/crontab is right as it is; each example once its # is taken away."""
    shipped = (CHECKOUT / "config" / "crontab").read_text()
    made = JobProject(tmp_path)
    examples = [line.lstrip("#") for line in shipped.splitlines() if "scripts/cron.sh " in line and line[:2] != "# "]
    made.write_crontab(*(line for line in examples if "nightly" not in line))
    assert 3 == len(read_lines(load_config(start=tmp_path)))
    assert ["nightly", "run"] == [line.words[0] for line in read_lines(load_config(start=CHECKOUT))]
    assert any(line.startswith("0 6-13 * * *") for line in examples)


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_a_line_means_the_same_in_every_shell(tmp_path: Path, shell: str) -> None:
    """Folder and words arrive as they are, whatever they hold, after cron has taken the backslash from each \\%."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not on this machine")
    root = tmp_path / "a 100% pro ject é $HOME's `id`"
    root.mkdir()
    words = ("run", "50%", "it's", '"$HOME"', "", "a  b", "*", "{{ item }}", "~", "!!", "#no", r"\d")
    schedule, command = render("17 3 * * *", words, root).split(" cd ", 1)
    assert "17 3 * * *" == schedule
    folder, _, script, *_ = shlex.split(command.replace(r"\%", "%"))
    shown = f"cd {command}".replace(r"\%", "%").replace(shlex.quote(script), "printf '%s\\n' \"$PWD\"", 1)
    done = subprocess.run([shell, "-c", shown], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert folder == str(root)
    assert [str(root), *words] == done.stdout.splitlines()


def test_a_folder_that_no_crontab_can_name(tmp_path: Path) -> None:
    """A folder whose name holds a line break is refused."""
    with pytest.raises(ValueError, match="cannot stand in a crontab"):
        render("17 3 * * *", ("run",), tmp_path / "a\nb")
