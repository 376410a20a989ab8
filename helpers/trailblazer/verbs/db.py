"""Start, stop, status, doctor, migrate, url and psql of the database.

trailblazer db start
trailblazer db stop                                 until it is needed
trailblazer db status
trailblazer db doctor                               what is missing?
trailblazer db migrate
trailblazer db url                                  the password is in it
trailblazer db psql                                 the right psql
trailblazer db psql 'SELECT count(*) FROM chunks'   carry out a statement
trailblazer db psql -- -At -f report.sql            with options of it"""

from __future__ import annotations

import argparse
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trailblazer.config import Config


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the seven actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    start = actions.add_parser("start", help="start the embedded server, and bring its tables up to date")
    stop = actions.add_parser("stop", help="stop the embedded server until a command needs it")
    status = actions.add_parser("status", help="does the database answer? exit 8 when it should and does not")
    status.add_argument("--json", action="store_true", help="the same as one JSON object")
    doctor = actions.add_parser("doctor", help="name what is missing and what to do; exit 8 when something is")
    doctor.add_argument("--json", action="store_true", help="the same as one JSON object")
    migrate = actions.add_parser("migrate", help="apply what is pending; a second time changes nothing")
    url = actions.add_parser("url", help="print an address that psql takes, password included")
    for action in (start, stop, migrate, url):
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")
    psql = actions.add_parser("psql", help="open psql on the database, or have it carry out what is given")
    psql.add_argument("given", nargs=argparse.REMAINDER, metavar="...", help="statements, or -- and psql's options")


def run(words: argparse.Namespace) -> int:
    """Carry out one action: answers to stdout, words for people to stderr."""
    from trailblazer.config import load_config

    config = load_config()
    actions = {
        "start": _start,
        "stop": _stop,
        "status": _status,
        "doctor": _doctor,
        "migrate": _migrate,
        "url": _url,
        "psql": _psql,
    }
    return actions[words.action](config, words)


def _start(config: Config, words: argparse.Namespace) -> int:
    from trailblazer.database.connection import connect
    from trailblazer.database.vitals import address, base_of, is_alive

    ran = is_alive(base_of(config.places))
    connect(config).close()
    if config["db.url"]:
        _answer(words, "unchanged", [])
        _say("The configured server answers; it is not ours to start.")
    else:
        _say("It ran already." if ran else "Started.")
        _answer(words, "unchanged" if ran else "done", [address(base_of(config.places)) or ""])
    return 0


def _stop(config: Config, words: argparse.Namespace) -> int:
    from trailblazer.database import server
    from trailblazer.database.vitals import base_of
    from trailblazer.errors import ConfigWrong

    if config["db.url"]:
        raise ConfigWrong(
            f"{config.settings['db.url'].origin}: db.url names a server that is not ours to stop",
            "Unset db.url to stop the embedded one.",
        )
    ran = server.stop(base_of(config.places))
    _answer(words, "done" if ran else "unchanged", [])
    _say("Stopped." if ran else "No server ran.")
    return 0


def _status(config: Config, words: argparse.Namespace) -> int:
    from dataclasses import asdict

    from trailblazer.database.vitals import base_of, status

    if config["db.url"]:
        from trailblazer.database.connection import open_connection

        open_connection(config).close()
        shown: dict[str, object] = {"kind": "external", "running": True, "ready": True}
    else:
        shown = {"kind": "embedded", **asdict(status(base_of(config.places)))}
    if words.json:
        from trailblazer.reports.answers import print_document

        print_document("db_status", shown)
    else:
        state = "ready" if shown["ready"] else "not ready" if shown["running"] else "stopped"
        print(f"{shown['kind']} server: {state}")
        for key in ("pid", "folder", "dsn"):
            if shown.get(key):
                print(f"  {key:<7} {shown[key]}")
        if state == "stopped":
            _say("It starts by itself when a command needs it.")
    return 8 if shown["running"] and not shown["ready"] else 0


def _doctor(config: Config, words: argparse.Namespace) -> int:
    from dataclasses import asdict

    from trailblazer.database.doctor import examine
    from trailblazer.plain import one_line

    findings = examine(config)
    well = all(finding.well for finding in findings)
    if words.json:
        from trailblazer.reports.answers import print_document

        print_document("db_doctor", {"well": well, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.well else 'FAIL'} {finding.name:<11} {one_line(finding.found)}")
            if not finding.well:
                print(f"     {'':<11} {one_line(finding.remedy)}")
    _say("All is well." if well else "Not all is well: see FAIL above.")
    return 0 if well else 8


def _migrate(config: Config, words: argparse.Namespace) -> int:
    from trailblazer.database.connection import answering, open_connection
    from trailblazer.database.migrating import bring_up_to_date

    with open_connection(config) as connection, answering():
        done = bring_up_to_date(connection)
    _answer(words, "done" if done else "unchanged", [f"{one.number:03} {one.slug}" for one in done])
    _say(f"{len(done)} applied." if done else "Nothing was pending.")
    return 0


def _url(config: Config, words: argparse.Namespace) -> int:
    from trailblazer.database.connection import connect
    from trailblazer.database.vitals import address, base_of

    connect(config).close()
    _answer(words, "done", [config["db.url"] or address(base_of(config.places)) or ""])
    if sys.stdout.isatty():
        from trailblazer.database.server import find_binaries

        _say(f'Use it as: "{find_binaries()}/psql" "$(trailblazer db url)"')
    return 0


def _psql(config: Config, words: argparse.Namespace) -> int:
    """Become psql: the embedded server's own, or for another server the one on PATH. The password is in no argument."""
    import os
    import shutil

    from trailblazer.database.connection import connect
    from trailblazer.database.driver import without_secrets
    from trailblazer.database.server import find_binaries
    from trailblazer.database.vitals import address, base_of

    connect(config).close()
    url = config["db.url"] or address(base_of(config.places)) or ""
    dsn, secrets = without_secrets(url, config.settings["db.url"].origin)
    program = (shutil.which("psql") if config["db.url"] else None) or str(find_binaries() / "psql")
    given = words.given[1:] if words.given[:1] == ["--"] else words.given
    if given and not given[0].startswith("-"):
        given = [word for sql in given for word in ("-c", sql)]
    sys.stdout.flush()
    os.execve(program, [program, "-d", dsn, *given], {**os.environ, **secrets})  # noqa: S606 - it is psql that was asked for


def _answer(words: argparse.Namespace, state: str, lines: list[str]) -> None:
    """Print the lines of an answer, or the answer as JSON."""
    if words.json:
        from trailblazer.reports.answers import print_answer

        print_answer(f"db {words.action}", state, lines)
        return
    for line in lines:
        print(line)


def _say(line: str) -> None:
    from trailblazer.events import Console

    Console().say(line)
