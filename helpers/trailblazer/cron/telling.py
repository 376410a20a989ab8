"""Who hears how a job ended: the commands of the configuration each time, the notifier when the state changes."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from trailblazer.config import Config
from trailblazer.cron.carrying import Carrier
from trailblazer.cron.jobs import FAILED, GOOD, End, Job, Told, document_of
from trailblazer.cron.log import DatedLog
from trailblazer.paths import timestamp
from trailblazer.plain import counted

HOOK_SECONDS = 60.0
NOTIFY_SECONDS = 30.0
REMIND_AFTER = timedelta(days=1)
MISSING = (
    "cron.notify holds addresses, but the package apprise is not installed: nobody was told. "
    "In the checkout: scripts/bootstrap.sh apprise. Elsewhere: pip install 'trailblazer[apprise]'"
)


def tell_all(job: Job, config: Config, carrier: Carrier, log: DatedLog, environment: Mapping[str, str]) -> Job:
    """Pass on how a job ended, and return the job as it is after that. What fails here is a warning in the log."""
    run_hook(job, config, carrier, log, environment)
    if not config["cron.notify"] or not is_due(job):
        return job
    if notify(config["cron.notify"], title_of(job), body_of(job, log), log):
        return replace(job, told=Told(job.state, timestamp()))
    return job


def is_due(job: Job) -> bool:
    """Say whether the notifier has something to say: another state than it said last, or a failure for a day.

    A notifier that failed has said nothing, so that the next end of the job tries again.
    """
    if job.told is None or job.told.state != job.state:
        return job.state == FAILED or job.told is not None
    since = _moment(timestamp()) - _moment(job.told.at)
    return job.state == FAILED and not timedelta(0) <= since < REMIND_AFTER


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def run_hook(job: Job, config: Config, carrier: Carrier, log: DatedLog, environment: Mapping[str, str]) -> None:
    """Run the command for a good or a failed end, with the job file on stdin."""
    import orjson

    key = "cron.on_success" if job.state == GOOD else "cron.on_failure"
    if not config[key]:
        return
    with tempfile.TemporaryFile() as file:
        file.write(orjson.dumps(document_of(job), option=orjson.OPT_APPEND_NEWLINE))
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        hook = carrier.run(config[key], limit_seconds=HOOK_SECONDS, environment=environment, stdin=file.fileno())
    if hook.exit_code:
        log.warn(f"the command in {key} ended with exit code {hook.exit_code}" + _behind(hook.last_words))


def notify(addresses: list[str], title: str, body: str, log: DatedLog) -> bool:
    """Send a message to each address and say whether one of them took it. No address is in a warning."""
    try:
        import apprise
    except ImportError:
        log.warn(MISSING)
        return False
    quiet = logging.getLogger("apprise")  # it would say on stderr what we say in the log, with parts of an address
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    sent: dict[int, bool] = {}

    def send() -> None:
        for number, address in enumerate(addresses):
            try:
                one = apprise.Apprise()
                sent[number] = one.add(address) and bool(
                    one.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
                )
            except Exception:  # noqa: BLE001 - whatever a plugin of Apprise does must not stop the job
                sent[number] = False

    thread = threading.Thread(target=send, name="notifier", daemon=True)
    thread.start()
    thread.join(NOTIFY_SECONDS)
    for number in range(len(addresses)):
        if not sent.get(number):
            what = "was refused, or could not be reached" if number in sent else f"took more than {NOTIFY_SECONDS:g} s"
            log.warn(f"cron.notify[{number}] {what}")
    return any(sent.values())


def title_of(job: Job) -> str:
    """Return the title of a message about a job."""
    what = "is good again" if job.state == GOOD else "failed"
    return f"trailblazer {job.name} {what} on {job.host}"


def body_of(job: Job, log: DatedLog) -> str:
    """Return the text of a message about a job, in plain lines."""
    end = job.last
    lines = [f"{job.name}: {sentence_of(end)}" if end else job.name]
    if job.failures_in_a_row > 1:
        lines.append(f"Failures in a row: {job.failures_in_a_row}")
    if job.state == FAILED:
        lines.append(f"Last good end: {job.last_good.ended_at}" if job.last_good else "It was never good.")
    return "\n".join([*lines, f"Project: {job.project}", f"Log: {log.file}"])


def sentence_of(end: End) -> str:
    """Return in one line how a start ended: `exit code 6 after 12 s: 3 items failed`."""
    whys = {
        "lost": "the wrapper was killed, or the machine went down",
        "timeout": f"ended at its limit, after {counted(round(end.seconds), 'second')}",
        "cancelled": f"interrupted after {counted(round(end.seconds), 'second')} (exit code {end.exit_code})",
    }
    by_itself = f"exit code {end.exit_code} after {counted(round(end.seconds), 'second')}"
    return whys.get(end.why, by_itself) + _behind(end.last_words if not end.is_good else "")


def _behind(words: str) -> str:
    return f": {words}" if words else ""
