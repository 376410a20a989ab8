"""One start of a job: exit code, lock, record, limit, signals, log and environment (N7)."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cron.jobs import ANY_JOB, LIMIT, JobProject
from lanes.embed.project import wait_for
from trailblazer.processes.identity import start_ticks
from trailblazer.schemas import violations_in

DATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z .")
# Starts a grandchild, writes both pids, and says that a TERM came.
FAMILY = "trap 'echo TERM >came; exit 9' TERM; sleep 600 & echo $$ $! >pids.new; mv pids.new pids; wait"
SMALL_FILES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
os.execv(sys.argv[1], sys.argv[1:])
"""
STUBBORN = "trap '' TERM; echo $$ $$ >pids.new; mv pids.new pids; while :; do sleep 600; done"


def pids_of(project: JobProject) -> list[int]:
    """Return the pids that a family has written, once they are there."""
    file = project.folder / "pids"
    wait_for(file.exists, "the pids of the family")
    return [int(word) for word in file.read_text().split()]


def test_a_good_job_is_silent(project: JobProject) -> None:
    """A job that is good prints nothing; its log has its output in dated lines, its job file the good end."""
    done = project.run("sh", "-c", "echo out; echo err >&2")
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert all(DATED.match(line) for line in project.log.splitlines())
    assert {"out", "err"} <= {line.split(" ", 1)[1] for line in project.log.splitlines()}
    assert [] == violations_in("cron_job")(project.job)
    assert ("good", 1, 1, 0) == tuple(project.job[key] for key in ("state", "starts", "goodEnds", "failuresInARow"))


@pytest.mark.parametrize("code", [1, 6, 77, 255])
def test_the_exit_code_is_passed_on(project: JobProject, code: int) -> None:
    """The wrapper ends with the exit code of the command, and says in one line and a hint what happened."""
    done = project.run("sh", "-c", f"echo 'run: it broke' >&2; echo '  Try this.' >&2; exit {code}")
    assert code == done.returncode
    first, hint = done.stderr.splitlines()
    assert first.startswith(f"cron: job failed: exit code {code} after ")
    assert first.endswith(": run: it broke")
    assert hint == f"  Log: {project.jobs / 'job.log'}"


def test_a_command_that_a_signal_ends(project: JobProject) -> None:
    """A command that a signal ended has the exit code that a shell gives it."""
    assert 128 + signal.SIGKILL == project.run("sh", "-c", "kill -9 $$").returncode


def test_a_missing_command(project: JobProject) -> None:
    """A command that cannot be started is a failure with its reason."""
    done = project.run("no-such-command")
    assert 126 == done.returncode
    assert "command not found: no-such-command" == project.job["lastFailure"]["lastWords"]


def test_failures_in_a_row_are_counted(project: JobProject) -> None:
    """The job file keeps the last good end, the last failure, and how many came in a row."""
    for code in (0, 3, 4):
        project.run("sh", "-c", f"exit {code}")
    job = project.job
    assert ("failed", "failed", 2) == (job["state"], job["stateBefore"], job["failuresInARow"])
    assert 0 == job["lastGood"]["exitCode"]
    assert 4 == job["lastFailure"]["exitCode"]
    project.run("true")
    assert ("good", "failed", 0) == tuple(project.job[key] for key in ("state", "stateBefore", "failuresInARow"))
    assert (4, 2) == (project.job["starts"], project.job["goodEnds"])


def test_two_at_once(project: JobProject) -> None:
    """A second start of a job is refused with exit 7 in one line; another job and the first one are not disturbed."""
    fifo = project.folder / "fifo"
    os.mkfifo(fifo)
    first = project.popen("sh", "-c", "echo >begun; cat fifo")
    wait_for((project.folder / "begun").exists, "the first start")
    second = project.run("sh", "-c", "echo >never")
    assert 7 == second.returncode
    assert re.fullmatch(rf"job is already running \(pid {first.pid} since .*\)\n", second.stderr)
    with project.popen("true", name="other") as other:
        assert 0 == other.wait(LIMIT)
    fifo.write_text("on\n")
    assert ("", "") == first.communicate(timeout=LIMIT)
    assert 0 == first.returncode
    assert not (project.folder / "never").exists()
    assert "not started: job is already running" in project.log
    assert 1 == project.job["starts"]


def test_many_at_once_run_one_at_a_time(project: JobProject) -> None:
    """Of several starts at the same moment none overlaps another."""
    job = "mkdir alone || exit 99; echo >>ran; rmdir alone"
    started = [project.popen("sh", "-c", job) for _ in range(6)]
    codes = [one.wait(LIMIT) for one in started]
    for one in started:
        one.communicate()
    assert {0, 7} >= set(codes)
    assert codes.count(0) == len((project.folder / "ran").read_text().splitlines()) == project.job["goodEnds"]


def test_a_killed_wrapper_is_followed_at_once(project: JobProject) -> None:
    """After kill -9 the next start ends what was left, counts the lost start as a failure, and runs."""
    wrapper = project.popen("sh", "-c", FAMILY)
    pids = pids_of(project)
    wrapper.kill()
    wrapper.communicate()
    assert 0 == project.run("true").returncode
    assert [None, None] == [start_ticks(pid) for pid in pids]
    job = project.job
    assert ("lost", None) == (job["lastFailure"]["why"], job["lastFailure"]["exitCode"])
    assert ("good", "failed", 2, 1) == tuple(job[key] for key in ("state", "stateBefore", "starts", "goodEnds"))
    assert "that a killed wrapper had left behind" in project.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_goes_on_to_the_group(project: JobProject, number: signal.Signals) -> None:
    """A signal to the wrapper ends the command and all it started; its exit code and its job file say so."""
    wrapper = project.popen("sh", "-c", FAMILY)
    pids = pids_of(project)
    wrapper.send_signal(number)
    wrapper.communicate(timeout=LIMIT)
    assert 9 == wrapper.returncode
    assert "TERM\n" == (project.folder / "came").read_text()
    assert [None, None] == [start_ticks(pid) for pid in pids]
    assert ("cancelled", 9) == (project.job["lastFailure"]["why"], project.job["lastFailure"]["exitCode"])


def test_a_second_signal_kills(project: JobProject) -> None:
    """A command that ignores TERM is killed at the second one."""
    wrapper = project.popen("sh", "-c", STUBBORN)
    pids_of(project)
    wrapper.terminate()
    wait_for(lambda: "SIGTERM came" in project.log, "the first TERM")
    wrapper.terminate()
    wrapper.communicate(timeout=LIMIT)
    assert 128 + signal.SIGKILL == wrapper.returncode


def test_the_time_limit(project: JobProject) -> None:
    """A command that reaches its limit is ended, killed after the grace, and the exit code is 124."""
    project.configure(limit_minutes=0.005)
    done = project.run("sh", "-c", STUBBORN, limit=0.2)
    assert 124 == done.returncode
    assert "timeout" == project.job["lastFailure"]["why"]
    assert "ended at its limit" in done.stderr


def test_what_is_left_behind_ends_with_the_job(project: JobProject) -> None:
    """A process that a good command leaves in the background ends with the command."""
    daemon = "setsid sleep 600 >/dev/null 2>&1 & echo $! $! >pids.new; mv pids.new pids"
    assert 0 == project.run("sh", "-c", daemon).returncode
    assert start_ticks(pids_of(project)[0]) is None


def test_a_large_log_is_put_aside(project: JobProject) -> None:
    """A log is put aside in the middle of a start too, and only so many are kept: an endless writer fills no disk."""
    project.configure(log_max_mb=0.01, log_files=2)
    (project.jobs).mkdir(parents=True)
    (project.jobs / "job.log.7").write_text("from another configuration\n")
    assert 0 == project.run("sh", "-c", "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo line $i; done").returncode
    kept = sorted(file.name for file in project.jobs.glob("job.log*"))
    assert {"job.log.1", "job.log.2"} == set(kept) - {"job.log"}
    assert all((project.jobs / name).stat().st_size < 0.01 * 2**20 + 100 for name in kept)
    lines = [line for name in reversed(kept) for line in (project.jobs / name).read_text().splitlines()]
    assert "line 2000" == lines[-2].split(" ", 1)[1]


def test_an_old_log_is_put_aside(project: JobProject) -> None:
    """A log whose first line is too old is put aside at the next start, whenever it was written to last."""
    project.run("true")
    (project.jobs / "job.log").write_text("2020-01-02T03:04:05.678Z long ago\n")
    project.run("true")
    assert "long ago" not in project.log
    assert "2020-01-02T03:04:05.678Z long ago\n" == (project.jobs / "job.log.1").read_text()


def test_output_is_made_plain(project: JobProject) -> None:
    """Escape codes, wrong bytes and a line without an end reach the log as plain text; a long line is cut."""
    project.run("sh", "-c", r"printf '\033[31mred\377\n'; head -c 100000 /dev/zero | tr '\0' x; printf end")
    assert "^[[31mred�" in project.log
    assert "\x1b" not in project.log
    assert "end" == project.log.splitlines()[-2][-3:]
    assert max(map(len, project.log.splitlines())) < 9000


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_end_of_a_long_line_is_kept(project: JobProject, end: str) -> None:
    """A line that is longer than a line of the log becomes several of them, however much one read brings."""
    project.run(sys.executable, "-c", f"import os; os.write(1, b'x' * 20000 + b'end' + {end.encode()!r})")
    parts = [line.partition(" ")[2] for line in project.log.splitlines() if "xxx" in line]
    assert "x" * 20000 + "end" == "".join(parts)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private(project: JobProject, umask: int) -> None:
    """Folders are 0700 and files 0600 whatever the umask."""
    before = os.umask(umask)
    try:
        project.run("false")
    finally:
        os.umask(before)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in project.jobs.iterdir()}
    assert {"job.json": 0o600, "job.lock": 0o600, "job.log": 0o600} == modes
    assert 0o700 == stat.S_IMODE(project.jobs.stat().st_mode) == stat.S_IMODE((project.folder / "var").stat().st_mode)


def test_the_environment(project: JobProject) -> None:
    """A command gets cron.environment with its variables filled in, and what cron gives."""
    tool = project.folder / ".tools" / "own-tool"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$BEADS_DIR|$FROM_CRON|$PRICE|$SHELL" >told\n')
    tool.chmod(0o700)
    environment = {"PATH": "~/.tools:$PATH", "BEADS_DIR": "$HOME/beads", "PRICE": "5 $$"}
    project.configure(environment=environment)
    assert 0 == project.run("own-tool", FROM_CRON="a=b").returncode
    assert f"{project.folder}/beads|a=b|5 $|/bin/sh\n" == (project.folder / "told").read_text()


@pytest.mark.parametrize(
    ("value", "what"), [("$NO_SUCH_ONE/x", "cron.environment.X needs NO_SUCH_ONE"), ("5 $ 3", "begins no name")]
)
def test_an_environment_that_cannot_be_made(project: JobProject, value: str, what: str) -> None:
    """A variable that is not set is refused with exit 3 and its place, before anything runs."""
    project.configure(environment={"X": value})
    done = project.run("sh", "-c", "echo >never")
    assert 3 == done.returncode
    assert what in done.stderr
    assert not (project.folder / "never").exists()


def test_a_broken_job_file_begins_anew(project: JobProject) -> None:
    """A job file that cannot be read stops nothing."""
    project.run("true")
    (project.jobs / "job.json").write_text('{"half": ')
    assert 0 == project.run("true").returncode
    assert 1 == project.job["starts"]
    assert "warning: the job file begins anew" in project.log


def test_a_full_disk_stops_nothing(project: JobProject) -> None:
    """Where neither log nor job file can be written the command runs all the same, and stderr says what is missing."""
    project.run("true")
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, sys.executable, str(ANY_JOB), "job", "9", "sh", "-c", "exit 5"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 5 == done.returncode
    assert "cron: cannot write" in done.stderr
    assert "cron: job failed: exit code 5" in done.stderr


def test_a_link_is_not_followed(project: JobProject, tmp_path: Path) -> None:
    """A log that is a symbolic link is not written to."""
    project.jobs.mkdir(parents=True)
    (project.jobs / "job.log").symlink_to(tmp_path / "target")
    assert 0 == project.run("true").returncode
    assert not (tmp_path / "target").exists()


def test_a_verb_is_started_by_its_words(project: JobProject) -> None:
    """`cron run` starts a verb with its words, as a job of the verb's name or of the given one."""
    assert 0 == project.trailblazer("cron", "run", "--", "config", "show", "--json").returncode
    assert 2 == project.trailblazer("cron", "run", "--name", "mine", "config", "shoo").returncode
    assert {"config.json", "mine.json"} == {file.name for file in project.jobs.glob("*.json")}
    assert '"cron.limit_minutes"' in (project.jobs / "config.log").read_text()
    assert "'shoo' is not an action" in (project.jobs / "mine.log").read_text()


@pytest.mark.parametrize(
    "words", [[], ["--"], ["cron", "show"], ["../run"], ["--name", "../x", "run"], ["--name", "", "run"], ["-x"]]
)
def test_words_that_start_nothing(project: JobProject, words: list[str]) -> None:
    """Words without a verb, a name that leads out of the folder, and a wrapper in a wrapper are exit 2."""
    assert 2 == project.trailblazer("cron", "run", *words).returncode
    assert not project.jobs.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_batch_ends_with_its_wrapper(project: JobProject, number: signal.Signals) -> None:
    """A TERM to the wrapper lets a batch seal its record; after kill -9 the next start ends the batch like that."""
    item = ["sh", "-c", "echo $$ $$ >pids.new; mv pids.new pids; exec sleep 600"]
    words = ["batch", "run", "--items", '["one", "two"]', "--skip-preflight", "--max-workers", "1", "--", *item]
    wrapper = project.popen(sys.executable, "-P", "-m", "trailblazer", *words)
    pid = pids_of(project)[0]
    wrapper.send_signal(number)
    wrapper.communicate(timeout=LIMIT)
    if number == signal.SIGKILL:
        project.run("true")
    assert (143 if number == signal.SIGTERM else -9) == wrapper.returncode
    assert start_ticks(pid) is None
    assert 1 == len(list((project.folder / "var" / "logs" / "dispatch").glob("2*/SHA256SUMS")))
