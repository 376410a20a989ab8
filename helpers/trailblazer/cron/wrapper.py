"""One start of a job: environment, lock, log, time limit, job file, alerts; never twice at once."""

from __future__ import annotations

import os
import pwd
import string
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trailblazer.atomic import make_folder
from trailblazer.config import Config
from trailblazer.cron import carrying
from trailblazer.cron.carrying import Carrier
from trailblazer.cron.jobs import End, Job, keep_job, read_job
from trailblazer.cron.log import DatedLog, LogLimits
from trailblazer.cron.ping import HealthCheck
from trailblazer.cron.telling import sentence_of, tell_all
from trailblazer.errors import AlreadyRunning, ConfigWrong, DocumentInvalid, StorageTrouble
from trailblazer.paths import Places, timestamp
from trailblazer.plain import counted
from trailblazer.processes.lock import Lock
from trailblazer.processes.marks import end_marked
from trailblazer.streams import tell


def folder_of_jobs(places: Places) -> Path:
    """Return the folder that holds the lock, the log and the job file of each job."""
    return places.logs / "cron"


def run_job(config: Config, name: str, argv: Sequence[str]) -> int:
    """Run a command as the job of that name and return its exit code, 124 when it reached its limit.

    While the job runs already, AlreadyRunning is raised. A lock that cannot be made is StorageTrouble.
    """
    environment = environment_of(config)
    os.environ.update(environment)  # a command is looked for on this PATH
    folder = folder_of_jobs(config.places)
    rid = str(uuid.uuid4())
    log = log_of(config, folder, name)
    check = HealthCheck(config["cron.ping_url"], rid, log.warn)
    try:
        make_folder(folder)
        lock = Lock(folder / f"{name}.lock", AlreadyRunning(f"{name} is already running"))
    except AlreadyRunning as refusal:
        log.note(f"not started: {refusal.what}")
        raise
    except StorageTrouble as trouble:
        check.end(trouble.exit_code)
        raise
    log.take_over()
    with Carrier(_mark(folder, name), log) as carrier:
        start = _Start(config, carrier, log, folder, environment)
        code = start.carry_out(start.take_up(name), check, rid, argv)
    log.close()
    lock.free()
    return code


class _Start:
    """One start of a job, from what an earlier one left behind to the last word about it."""

    def __init__(
        self, config: Config, carrier: Carrier, log: DatedLog, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._config, self._carrier, self._log, self._folder = config, carrier, log, folder
        self._environment = environment

    def take_up(self, name: str) -> Job:
        """Return the job as its file has it, after ending and settling what a killed wrapper left behind."""
        left = end_marked(_mark(self._folder, name), grace=carrying.GRACE_SECONDS)
        if left:
            self._log.note(f"ended {counted(left, 'process')} that a killed wrapper had left behind")
        known = None
        try:
            known = read_job(self._file(name))
        except DocumentInvalid as wrong:
            self._log.warn(f"the job file begins anew: {wrong.what}")
        project, host = str(self._config.places.root), os.uname().nodename
        job = replace(known, project=project, host=host) if known else Job(name, project, host)
        if job.running is None:
            return job
        lost = End(job.running.rid, job.running.started_at, timestamp(), 0.0, None, "lost", "")
        self._log.note(f"the start of {lost.started_at} failed: {sentence_of(lost)}")
        return self._settle(job, lost)

    def carry_out(self, job: Job, check: HealthCheck, rid: str, argv: Sequence[str]) -> int:
        """Run the command, keep how it ended, tell it, and return the exit code."""
        job = job.starting(rid)
        self._keep(job)
        self._log.note(f"start {job.starts}, pid {os.getpid()}, rid {rid}")
        check.begin()
        carried = self._carrier.run(
            argv, limit_seconds=self._config["cron.limit_minutes"] * 60, environment=self._environment
        )
        started = job.running.started_at if job.running else ""
        end = End(rid, started, timestamp(), carried.seconds, carried.exit_code, carried.why, carried.last_words)
        verdict = "good" if end.is_good else "failed"
        self._log.note(f"{verdict}: {sentence_of(end)}")
        if not end.is_good or sys.stderr.isatty():
            tell(f"cron: {job.name} {verdict}: {sentence_of(end)}\n  Log: {self._log.file}\n")
        self._settle(job, end, check)
        return carried.exit_code

    def _settle(self, job: Job, end: End, check: HealthCheck | None = None) -> Job:
        """Keep an end in the job file, tell it, and keep what was told."""
        job = job.ended(end)
        self._keep(job)
        if check is not None and end.exit_code is not None:
            check.end(end.exit_code)
        after = tell_all(job, self._config, self._carrier, self._log, self._environment)
        if after != job:
            self._keep(after)
        return after

    def _keep(self, job: Job) -> None:
        """Write the job file. A disk that is full must not stop the job."""
        try:
            keep_job(job, self._file(job.name))
        except StorageTrouble as trouble:
            self._log.warn(trouble.what)
            tell(f"cron: {trouble.what}\n")

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _mark(folder: Path, name: str) -> str:
    """Return the mark of every process of a job."""
    return f"{folder.resolve()}/{name}#"


def log_of(config: Config, folder: Path, name: str) -> DatedLog:
    """Return the log of a job."""
    limits = LogLimits(
        largest_bytes=max(1, int(config["cron.log_max_mb"] * 2**20)),
        oldest_days=config["cron.log_max_days"],
        most_files=config["cron.log_files"],
    )
    secrets = [config["cron.ping_url"] or "", *config["cron.notify"]]
    return DatedLog(folder / f"{name}.log", limits, secrets)


def environment_of(config: Config) -> dict[str, str]:
    """Return the environment of a job: what cron gives and, over it, cron.environment with its variables filled in.

    A variable that is not set, or a $ that is none, is refused with ConfigWrong.
    """
    given = dict(os.environ)
    given.setdefault("HOME", pwd.getpwuid(os.geteuid()).pw_dir)
    origin = config.settings["cron.environment"].origin
    added = {}
    for name, text in config["cron.environment"].items():
        try:
            filled = string.Template(text).substitute(given)
        except KeyError as missing:
            raise ConfigWrong(
                f"{origin}: cron.environment.{name} needs {missing.args[0]}, which is not set",
                "Set it in the crontab, above the lines of this project, or write $$ for a dollar.",
            ) from None
        except ValueError:
            raise ConfigWrong(
                f"{origin}: cron.environment.{name} has a $ that begins no name", "Write $$ for a dollar."
            ) from None
        added[name] = ":".join(os.path.expanduser(part) for part in filled.split(":"))  # noqa: PTH111 - not a path, or several
    return {**given, **added}
