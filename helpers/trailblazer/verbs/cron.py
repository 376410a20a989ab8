"""Start a verb as cron should, and put the lines of config/crontab into this user's crontab.

  trailblazer cron run -- dispatch plan=latest    start a verb as a job
  trailblazer cron show                           the lines, and the jobs' ends
  trailblazer cron install                        put the lines into the crontab
  trailblazer cron remove                         take them out again

`run` ends with the exit code of the verb, with 124 when the verb reached cron.limit_minutes, and with 7 when the job
runs already. docs/cron.md says more."""

from __future__ import annotations

import argparse
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.config import Config
    from trailblazer.cron.jobs import Job
    from trailblazer.cron.lines import CronLine


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the four actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    run = actions.add_parser("run", help="start a verb with a lock, a log, a time limit and alerts")
    run.add_argument(
        "--name", metavar="NAME", help="the job's name (default: the verb); jobs of one name never overlap"
    )
    run.add_argument("given", nargs=argparse.REMAINDER, metavar="VERB ...", help="the verb and its words")
    show = actions.add_parser("show", help="print the lines of this project and how its jobs ended")
    show.add_argument("--json", action="store_true", help="the same as one JSON object")
    for name, what in (("install", "put the lines into this user's crontab"), ("remove", "take the lines out again")):
        action = actions.add_parser(name, help=f"{what}; other lines stay as they are")
        action.add_argument("--dry-run", action="store_true", help="say what would be done and change nothing")
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Carry out one action: answers to stdout, words for people to stderr."""
    from trailblazer.config import load_config

    config = load_config()
    if words.action == "run":
        return _run(config, words.name, words.given)
    if words.action == "show":
        return _show(config, as_json=words.json)
    return _change(config, is_install=words.action == "install", dry_run=words.dry_run, as_json=words.json)


def _run(config: Config, name: str | None, given: list[str]) -> int:
    from trailblazer.cron.wrapper import run_job
    from trailblazer.errors import WordsWrong
    from trailblazer.paths import check_id

    given = given[1:] if given[:1] == ["--"] else given
    if not given or given[0] == "cron":
        raise WordsWrong("run needs a verb that does the work", "trailblazer cron run -- run")
    check_id(given[0], "verb")
    # Without -P the working folder would be on Python's path, and what is planted there would be imported.
    argv = [sys.executable, "-P", "-m", "trailblazer", *given]
    return run_job(config, check_id(name if name is not None else given[0], "name of a job"), argv)


def _show(config: Config, *, as_json: bool) -> int:
    from trailblazer.cron.crontab import Block, read_crontab
    from trailblazer.cron.jobs import jobs_in
    from trailblazer.cron.lines import read_lines
    from trailblazer.cron.wrapper import folder_of_jobs
    from trailblazer.errors import ServiceDown
    from trailblazer.events import Console
    from trailblazer.plain import counted
    from trailblazer.reports.answers import print_document

    lines = read_lines(config)
    block = Block(config.places.root)
    wanted = block.render(lines)
    try:
        crontab = read_crontab()
        is_installed = block.replaced_in(crontab, wanted) == crontab
        state = "installed" if is_installed else "not installed as they are: trailblazer cron install"
    except ServiceDown as trouble:
        is_installed, state = False, f"not installed: {trouble.what}"
    jobs = jobs_in(folder_of_jobs(config.places))
    if as_json:
        print_document("cron_shown", _shown(lines, jobs, is_installed=is_installed))
        return 0
    sys.stdout.flush()
    sys.stdout.buffer.write(wanted)
    sys.stdout.flush()
    say = Console().say
    say(f"{counted(len(lines), 'line')}, {state}")
    for line in lines:
        when = f"{line.next_time:%Y-%m-%d %H:%M}" if line.next_time else line.schedule
        say(f"next {when}: {' '.join(line.words)}")
    for job in jobs:
        say(_standing(job))
    return 0


def _shown(lines: list[CronLine], jobs: list[Job], *, is_installed: bool) -> dict[str, object]:
    from trailblazer.cron.jobs import document_of

    shown = [
        {
            "schedule": line.schedule,
            "words": line.words,
            "next": line.next_time.isoformat() if line.next_time else None,
            "line": line.installed,
        }
        for line in lines
    ]
    return {"installed": is_installed, "lines": shown, "jobs": [document_of(job) for job in jobs]}


def _standing(job: Job) -> str:
    from trailblazer.cron.telling import sentence_of

    last = job.last
    end = f"{job.state} {last.ended_at}, {sentence_of(last)}" if last else "never ended"
    streak = f"; failures in a row: {job.failures_in_a_row}" if job.failures_in_a_row > 1 else ""
    return f"{job.name}: {end}{streak}; {job.good_ends} of {job.starts} starts were good"


def _change(config: Config, *, is_install: bool, dry_run: bool, as_json: bool) -> int:
    from trailblazer.cron.crontab import Block, read_crontab, write_crontab
    from trailblazer.cron.lines import read_lines
    from trailblazer.errors import PlanUnusable
    from trailblazer.events import Console
    from trailblazer.plain import counted
    from trailblazer.reports.answers import print_answer

    say = Console().say
    block = Block(config.places.root)
    lines = read_lines(config) if is_install else []
    if is_install and not lines:
        raise PlanUnusable("config/crontab has no line to install", "Take the # from a line, then install again.")
    before = read_crontab()
    after = block.replaced_in(before, block.render(lines))
    done = f"{counted(len(lines), 'line')} installed" if is_install else "the lines of this project were removed"
    if after == before:
        say("Nothing changed: " + ("the lines are installed." if is_install else "no line was installed."))
    elif dry_run:
        say("Nothing was changed. This would be the crontab:")
    else:
        write_crontab(after)
        say(f"{done[0].upper()}{done[1:]}.")
    if as_json:
        state = "unchanged" if after == before else "would change" if dry_run else "done"
        verb = f"cron {'install' if is_install else 'remove'}"
        print_answer(verb, state, (), {"lines": len(lines)})
    elif dry_run or (is_install and after != before):
        sys.stdout.flush()
        sys.stdout.buffer.write(after if dry_run else block.render(lines))
        sys.stdout.flush()
    return 0
