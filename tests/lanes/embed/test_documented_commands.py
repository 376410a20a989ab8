"""Every command of the README, of docs/ and of the help works when it is typed, in bash and in zsh."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lanes.embed.project import LIMIT, Project, write_documents
from lanes.servers import database_of
from repo.documented import PAGES, documented
from repo.tree import BINARIES, CHECKOUT
from trailblazer.lanes.signals.scenario import read_scenario
from trailblazer.lanes.signals.stub import stub_answer
from trailblazer.signals import Context, FileDispatcher
from trailblazer.words.grammar import as_flags
from trailblazer.words.parsers import parser_for

pytestmark = pytest.mark.proof

_NUMBERS = itertools.count(1)
LINES = documented()
SHELLS = [shell for shell in ("bash", "zsh") if subprocess.run(["which", shell], capture_output=True).returncode == 0]
OF_CI = {"GITHUB_STEP_SUMMARY": "summary.md"}  # what a CI job finds in its environment
RECORDER = """#!/bin/sh
[ "${0##*/}" = cat ] || printf '%s\\0' "${0##*/}" "$@" "" >>"$RECORD"
"""
RECIPES = {"preflight": ["embed", "plan-preflight"], "reset": ["runs", "reset"], "status": ["dispatch", "--status"]}
TOO_MUCH = (
    "trailblazer nightly bd-",
    "make ",
    "cd ",
    "just bench",
    "just test",
    "just lint",
    "just fmt",
    "just pictures",
    "scripts/bootstrap.sh",
    "scripts/test.sh",
    "trailblazer providers check ",  # an agent that is named is not installed here
    "trailblazer cron install",  # the machine's own crontab
    "trailblazer cron remove",
    "trailblazer db stop",  # the server is the one of all tests
    "just cron-install",
    "just cron-remove",
    "trailblazer signals watch",  # it ends when all signals have ended
    "trailblazer control",  # no dispatch runs
    "trailblazer monitor --wait",
    "trailblazer log ",  # a run has no output of its own
    "trailblazer report 2026",  # the dispatches of this project have other names
)
NAMES = {"make", "scripts/cron.sh"}  # a sentence speaks of these; nobody types them alone
# They would call an agent.
ENDLESS = (
    "--provider claude",
    "provider=claude",
    "--provider codex",
    "catalog-scraper",
    "--dispatch",
)


def _recorded(folder: Path, shell: str, line: str) -> list[list[str]]:
    """Return the programs that a shell calls for a line, each with its words."""
    record = folder / "record"
    record.write_bytes(b"")
    path = f"{folder}/bin:/usr/bin:/bin"
    done = subprocess.run(
        [shell, "-c", line],
        cwd=folder,
        env={"PATH": path, "RECORD": str(record), "HOME": str(folder), **OF_CI},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr), f"{shell}: {line}"
    calls = record.read_text().split("\0\0")
    return [call.split("\0") for call in calls if call]


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder in which every program only writes down how it was called."""
    for name in ("bin/trailblazer", "bin/just", "bin/make", "bin/psql", "bin/cat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "var" / "logs").mkdir(parents=True)
    (tmp_path / "trailblazer").symlink_to(tmp_path)  # $HOME is the folder itself
    for script in (CHECKOUT / "scripts").glob("*.sh"):
        (tmp_path / "scripts" / script.name).write_text(RECORDER)
        (tmp_path / "scripts" / script.name).chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("where", sorted(LINES))
def test_both_shells_pass_on_the_words_that_are_meant(stubs: Path, where: str) -> None:
    """Quoting, globs and braces mean the same in bash and zsh, and the verb understands every word."""
    for line in LINES[where]:
        calls = [_recorded(stubs, shell, line) for shell in SHELLS]
        assert all(call == calls[0] for call in calls), line
        for program, *words in calls[0]:
            if program == "just" and words[0] in {"dispatch", "run", "runs", "normalize", "chunk", *RECIPES}:
                words = [*RECIPES.get(words[0], words[:1]), *words[1:]]
            elif program != "trailblazer":
                continue
            if "--help" not in words and words[0] != "ask":
                parser_for(words[0]).parse_args(as_flags(words[1:], parser_for(words[0])))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A project folder and a database that have what the examples speak of; each test types in a copy of both."""

    folder: Path
    database: str


@pytest.fixture(scope="session")
def prepared(base: Path, stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """What the examples speak of, made once: nobody types in it."""
    with database_of(base, "prepared", template="trailblazer") as dsn:
        project = Project(shutil.copytree(stock, tmp_path_factory.mktemp("prepared") / "pro ject"), dsn)
        _prepare(project)
        yield Prepared(project.folder, "prepared")


@pytest.fixture
def typed_in(base: Path, prepared: Prepared, tmp_path: Path) -> Iterator[Project]:
    """A project of the test's own that has what the examples speak of."""
    folder = shutil.copytree(prepared.folder, tmp_path / "pro ject", symlinks=True)
    with database_of(base, f"typed_{next(_NUMBERS)}", template=prepared.database) as dsn:
        yield Project(folder, dsn)


def _prepare(project: Project) -> None:
    """Make what the examples speak of."""
    write_documents(project.folder, "2026-11-20", ["a text"])
    folder = project.folder
    (folder / "docs").mkdir()
    (folder / "docs" / "page.md").write_text("# A page\n\nIt says how an exception is caught.\n")
    (folder / "feed").mkdir()
    (folder / "feed" / "news.txt").write_text("It is news.\n")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "scrape.md").write_text("Scrape {{ item }}\n")
    shutil.copy(CHECKOUT / "prompts" / "100_fix_issue.md", folder / "prompts")
    for name, text in (
        ("urls.txt", "one\ntwo\n"),
        ("items.json", '["one"]'),
        ("ids", '{"id": 1}\n'),
        ("issues.json", '[{"id": "t-1", "title": "An issue", "status": "closed"}]'),
        ("list.txt", "alpha\n"),
        ("report.sql", "SELECT 1\n"),
        ("licence.json", '{"type": "object"}'),
        ("config/crontab", "17 2 * * * scripts/cron.sh run\n"),
        ("work.py", "import sys\nopen(sys.argv[-1], 'w').write(sys.argv[2])\n"),
        ("scrape.sh", "#!/bin/sh\necho $1\n"),
        ("check_link.sh", "#!/bin/sh\necho $1\n"),
        ("answer.json", json.dumps(stub_answer(read_scenario("ptp-mock"), "triage", "case-01"))),
    ):
        (folder / name).write_text(text)
    for script in ("scrape.sh", "check_link.sh"):
        (folder / script).chmod(0o755)
    shutil.copytree(read_scenario("ptp-mock").folder, folder / "my-scenario")
    FileDispatcher(project.var / "calibrate" / "20261121T003642Z").post([Context("case-01", "triage", "Look.")] * 13)
    assert 0 == project.run("runs", "backfill").code
    bundle = Path(project.run("embed", "plan-preflight").where)
    bundle.rename(bundle.with_name("20261121T003642Z"))
    (project.var / "retrieval_qc" / "20261120T090000Z").mkdir(parents=True)
    assert 0 == project.run("dispatch", "plan=latest").code


@pytest.mark.parametrize(("where", "shell"), [(where, SHELLS[-(where in PAGES)]) for where in sorted(LINES)])
def test_every_command_works_when_it_is_typed(typed_in: Project, where: str, shell: str) -> None:
    """In a project that has what they speak of all commands end with 0; what would call an agent is a dry run."""
    environment = typed_in.settings(
        PATH=f"{BINARIES}:{os.environ['PATH']}",
        JUST_JUSTFILE=str(CHECKOUT / "justfile"),
        TRAILBLAZER_PROVIDERS_CHAIN="command",
        TRAILBLAZER_TRACKER_SOURCE="issues.json",
        XDG_DATA_HOME=str(typed_in.folder / "share"),
        **OF_CI,
    )
    for line in LINES[where]:
        if line.startswith(TOO_MUCH) or line in NAMES:
            continue
        line = line.replace("scripts/", f"{CHECKOUT}/scripts/")
        typed = line + " --dry-run" if any(word in line for word in ENDLESS) else line
        done = subprocess.run(
            [shell, "-c", typed],
            cwd=typed_in.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert 0 == done.returncode, f"{shell}: {typed}\n{done.stdout}{done.stderr}"
