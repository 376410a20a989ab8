"""Installed lines under a real cron, and the units for systemd (N7)."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from cron.jobs import JobProject
from cron.test_crontab import OWN_CRON, OwnCron
from lanes.embed.project import wait_for
from repo.tree import CHECKOUT

pytestmark = pytest.mark.proof

CLOCK = ["faketime", "-f", "@2026-11-21 03:13:00 x30"]  # a night in seconds: the jobs have the true time


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a cron")
def test_lines_of_03_17(project: JobProject, tmp_path: Path) -> None:
    """At 03:17 cron starts both jobs of a strange folder: environment, log, record and commands are as configured."""
    project.write_crontab(
        "17 3 * * * scripts/cron.sh --name good config show",
        r"17 3 * * * scripts/cron.sh --name bad config '50\%'",
        "18 4 * * * scripts/cron.sh --name never config show",
    )
    project.configure(
        environment={"PATH": "$HOME/bin:$PATH", "BEADS_DIR": "$HOME/beads"},
        on_success=["sh", "-c", "env >draft && mv draft environment"],
    )
    own = OwnCron(project, tmp_path / "spool")
    installed = own.trailblazer("install")
    assert 0 == installed.returncode, installed.stderr.decode()
    ends = [project.jobs / "good.json", project.jobs / "bad.json"]
    with subprocess.Popen([OWN_CRON, str(own.spool), *CLOCK, "cron", "-f"], start_new_session=True) as cron:
        try:
            wait_for(lambda: all(end.exists() and '"running": null' in end.read_text() for end in ends), "both jobs")
            wait_for((project.folder / "environment").exists, "the command of the good job")
        finally:
            os.killpg(cron.pid, signal.SIGTERM)
    home = pwd.getpwuid(0).pw_dir
    environment = (project.folder / "environment").read_text().splitlines()
    assert {f"PATH={home}/bin:/usr/bin:/bin", f"BEADS_DIR={home}/beads"} <= set(environment)
    assert '"state": "good"' in ends[0].read_text()
    assert '"exitCode": 2' in ends[1].read_text()
    assert "'50%' is not an action" in (project.jobs / "bad.log").read_text()
    assert not (project.jobs / "never.json").exists()


def test_the_units_are_right(tmp_path: Path) -> None:
    """systemd finds no mistake in the shipped timer and service, once the checkout is where the service expects it."""
    for name in ("trailblazer.service", "trailblazer.timer"):
        text = (CHECKOUT / "config" / name).read_text()
        (tmp_path / name).write_text(text.replace("%h/trailblazer", str(CHECKOUT)))
        sections = [line for line in text.splitlines() if line.startswith("[")]
        assert "[Unit]" == sections[0]
        assert all("=" in line or line.startswith(("#", "[")) or not line for line in text.splitlines())
    if not shutil.which("systemd-analyze"):
        return
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "" == "\n".join(line for line in done.stderr.splitlines() if "trailblazer" in line)
    assert 0 == done.returncode
