"""Who hears how a job ended: health check, commands, notifier; none of them can break a job or leak a secret (N7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cron.jobs import JobProject, Monitor
from lanes.embed.project import wait_for
from trailblazer.cron.ping import address_of
from trailblazer.processes.identity import start_ticks
from trailblazer.schemas import violations_in

SECRET = "0e7a-secret-token"


def warnings_of(project: JobProject) -> list[str]:
    """Return the warnings in the log."""
    return [line.split(" cron: warning: ", 1)[1] for line in project.log.splitlines() if " cron: warning: " in line]


@pytest.mark.parametrize(
    ("address", "suffix", "expected"),
    [
        ("https://hc.example/ping/u", "start", "https://hc.example/ping/u/start?rid=r"),
        ("https://hc.example/ping/u/", "", "https://hc.example/ping/u?rid=r"),
        ("http://hc.example:8000/k/slug?create=1", "6", "http://hc.example:8000/k/slug/6?create=1&rid=r"),
    ],
)
def test_the_addresses_of_a_check(address: str, suffix: str, expected: str) -> None:
    """What is added ends the path, before the query."""
    assert expected == address_of(address, suffix, "r")


def test_the_health_check_hears_start_and_end(project: JobProject, monitor: Monitor) -> None:
    """Start and success, or start and exit code, are asked with the rid of that start."""
    project.configure(ping_url=f"http://{monitor.where}/{SECRET}")
    project.run("true")
    good = project.job["lastGood"]["rid"]
    project.run("sh", "-c", "exit 6")
    failed = project.job["lastFailure"]["rid"]
    assert [
        f"/{SECRET}/start?rid={good}",
        f"/{SECRET}?rid={good}",
        f"/{SECRET}/start?rid={failed}",
        f"/{SECRET}/6?rid={failed}",
    ] == monitor.paths


@pytest.mark.parametrize(("code", "asked"), [(500, 2), (404, 2), (302, 2)])
def test_a_check_that_refuses_is_a_warning(project: JobProject, monitor: Monitor, code: int, asked: int) -> None:
    """An answer other than 2xx is a warning; a redirection is not followed."""
    monitor.code = code
    project.configure(ping_url=f"http://{monitor.where}/{SECRET}")
    assert 0 == project.run("true").returncode
    assert [f"the health check answered {code}"] * asked == warnings_of(project)
    assert not any("elsewhere" in path for path in monitor.paths)


def test_a_check_that_is_down_is_a_warning(project: JobProject) -> None:
    """Where nobody listens, and where the name is unknown, the job goes well and the log has a warning."""
    for address in (f"http://127.0.0.1:1/{SECRET}", f"http://no-such-host.invalid/{SECRET}", f"http://[/{SECRET}"):
        project.configure(ping_url=address)
        done = project.run("true")
        assert (0, "") == (done.returncode, done.stderr)
    found = warnings_of(project)
    assert 6 == len(found)
    assert all(warning.startswith("the health check could not be asked: ") for warning in found)


def test_a_check_that_hangs_has_a_limit(project: JobProject, monitor: Monitor) -> None:
    """A check that never answers holds the job no longer than its limit."""
    monitor.hangs = True
    project.configure(ping_url=f"http://{monitor.where}/{SECRET}")
    assert 0 == project.run("true", limit=0.2).returncode
    assert ["the health check did not answer within 0.2 s"] * 2 == warnings_of(project)


def test_a_check_hears_of_a_disk_that_is_full(project: JobProject, monitor: Monitor) -> None:
    """Where not even the folder of the jobs can be made, the health check hears of exit code 8."""
    project.configure(ping_url=f"http://{monitor.where}/{SECRET}")
    (project.folder / "var").write_text("a file where a folder belongs")
    assert 8 == project.run("true").returncode
    assert [f"/{SECRET}/8"] == [path.split("?")[0] for path in monitor.paths]


def test_a_command_hears_of_each_end(project: JobProject) -> None:
    """cron.on_failure and cron.on_success get the job file on stdin, as it is after that end."""
    project.configure(on_failure=["sh", "-c", "cat >failed.json"], on_success=["sh", "-c", "cat >good.json"])
    project.run("sh", "-c", "echo 'it broke' >&2; exit 6")
    assert not (project.folder / "good.json").exists()
    failed = json.loads((project.folder / "failed.json").read_text())
    assert [] == violations_in("cron_job")(failed)
    assert ("failed", "new", 1) == (failed["state"], failed["stateBefore"], failed["failuresInARow"])
    assert (6, "it broke") == (failed["lastFailure"]["exitCode"], failed["lastFailure"]["lastWords"])
    project.run("true")
    good = json.loads((project.folder / "good.json").read_text())
    assert ("good", "failed") == (good["state"], good["stateBefore"])


def test_a_command_hears_of_a_lost_start(project: JobProject) -> None:
    """A start whose wrapper was killed is told as a failure by the next one."""
    project.configure(on_failure=["sh", "-c", "cat >failed.json"])
    wrapper = project.popen("sh", "-c", "echo >begun; exec sleep 600")
    wait_for((project.folder / "begun").exists, "the start")
    wrapper.kill()
    wrapper.communicate()
    project.run("true")
    assert "lost" == json.loads((project.folder / "failed.json").read_text())["lastFailure"]["why"]


def test_a_command_that_hangs_has_a_limit(project: JobProject) -> None:
    """A command that hangs is ended with all it started, and the job has its own exit code."""
    project.configure(on_success=["sh", "-c", "trap '' TERM; sleep 600 & echo $! >pid; wait; sleep 600"])
    assert 0 == project.run("true", limit=0.3).returncode
    assert ["the command in cron.on_success ended with exit code 124"] == warnings_of(project)
    assert start_ticks(int((project.folder / "pid").read_text())) is None


def test_a_command_that_is_missing_is_a_warning(project: JobProject) -> None:
    """A command that cannot be started is a warning with its reason, and the job has its own exit code."""
    project.configure(on_failure=["no-such-command"])
    assert 6 == project.run("sh", "-c", "exit 6").returncode
    expected = "the command in cron.on_failure ended with exit code 126: command not found: no-such-command"
    assert [expected] == warnings_of(project)


def test_the_notifier_hears_of_changes(project: JobProject, monitor: Monitor) -> None:
    """Apprise is told when the job begins to fail, once a day while it fails, and when it is good again."""
    pytest.importorskip("apprise", reason="scripts/bootstrap.sh apprise installs it")
    project.configure(notify=[f"json://{monitor.where}/{SECRET}"])
    heard: list[int] = []
    for code in (0, 6, 6, 6, 0, 0):
        if len(heard) == 3:  # a day later
            document = project.job
            earlier = datetime.fromisoformat(document["told"]["at"]) - timedelta(hours=25)
            document["told"]["at"] = earlier.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            (project.jobs / "job.json").write_text(json.dumps(document))
        project.run("sh", "-c", rf"printf '\033[1mit broke\n' >&2; exit {code}")
        heard.append(len(monitor.bodies))
    assert [0, 1, 1, 2, 3, 3] == heard
    first, again, good = map(json.loads, monitor.bodies)
    assert first["title"].startswith("trailblazer job failed on ")
    assert "exit code 6 after" in first["message"]
    assert "^[[1mit broke" in first["message"]
    assert "Failures in a row: 3" in again["message"]
    assert good["title"].startswith("trailblazer job is good again on ")
    assert datetime.now(UTC) - datetime.fromisoformat(project.job["told"]["at"]) < timedelta(hours=1)


def test_a_notifier_that_failed_tries_again(project: JobProject, monitor: Monitor) -> None:
    """A message that nobody took is a warning, and the next end of the job sends it."""
    pytest.importorskip("apprise", reason="scripts/bootstrap.sh apprise installs it")
    project.configure(notify=[f"json://{monitor.where}/{SECRET}", "nonsense"])
    monitor.code = 500
    done = project.run("false")
    assert 1 == done.returncode
    assert 2 == len(done.stderr.splitlines())
    assert [f"cron.notify[{number}] was refused, or could not be reached" for number in (0, 1)] == warnings_of(project)
    assert project.job.get("told", "missing") is None
    monitor.code = 200
    project.run("false")
    assert "failed" == project.job["told"]["state"]


def test_a_notifier_that_hangs_has_a_limit(project: JobProject, monitor: Monitor) -> None:
    """A server that never answers the notifier holds the job no longer than its limit."""
    pytest.importorskip("apprise", reason="scripts/bootstrap.sh apprise installs it")
    monitor.hangs = True
    project.configure(notify=[f"json://{monitor.where}/{SECRET}"])
    assert 1 == project.run("false", limit=1.0).returncode
    assert ["cron.notify[0] took more than 1 s"] == warnings_of(project)


def test_a_notifier_that_is_not_installed_is_one_warning(project: JobProject, tmp_path: Path) -> None:
    """Without the package apprise one warning says what to install; without addresses nothing is imported."""
    (tmp_path / "apprise.py").write_text("raise ImportError('not installed')\n")
    project.configure(notify=[f"slack://{SECRET}"])
    assert 1 == project.run("false", PYTHONPATH=str(tmp_path)).returncode
    warning = warnings_of(project)
    assert 1 == len(warning)
    assert "scripts/bootstrap.sh apprise" in warning[0]
    project.configure()
    (project.jobs / "job.log").unlink()
    project.run("false", PYTHONPATH=str(tmp_path))
    assert [] == warnings_of(project)


def test_no_secret_reaches_a_file(project: JobProject, monitor: Monitor) -> None:
    """Addresses with a token come by the environment and are in no file, no warning and no shown configuration."""
    check, notify = f"http://{monitor.where}/{SECRET}", f"json://127.0.0.1:1/{SECRET} nonsense://{SECRET}"
    job = 'echo "$TRAILBLAZER_CRON_PING_URL"; echo "$TRAILBLAZER_CRON_PING_URL" >&2; exit 6'
    done = project.run("sh", "-c", job, TRAILBLAZER_CRON_PING_URL=check, TRAILBLAZER_CRON_NOTIFY=notify)
    assert SECRET not in done.stdout + done.stderr
    assert [] == [file for file in (project.folder / "var").rglob("*") if file.is_file() and SECRET in file.read_text()]
    assert f"/{SECRET}/6" in "".join(monitor.paths)
    shown = project.trailblazer("config", "show", TRAILBLAZER_CRON_PING_URL=check, TRAILBLAZER_CRON_NOTIFY=notify)
    assert 0 == shown.returncode
    assert SECRET not in shown.stdout


def test_a_wrong_address_is_refused_without_being_shown(project: JobProject) -> None:
    """An address of another kind, such as a file, is exit 3; the message names the key and not the value."""
    project.configure(ping_url=f"file:///{SECRET}")
    done = project.trailblazer("cron", "run", "config", "show")
    assert 3 == done.returncode
    assert "$.cron.ping_url: the value (not shown" in done.stderr
    assert SECRET not in done.stderr
