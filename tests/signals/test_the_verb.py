"""`trailblazer signals`, run as an agent runs it."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanes.embed.project import LIMIT, TRAILBLAZER, Project, says_one_thing, wait_for
from signals.acting import contexts
from trailblazer.paths import CONFIG_NAME
from trailblazer.signals import Context, FileDispatcher
from trailblazer.signals.documents import State, read_signal

TRIAGE = {
    "category": "product",
    "component": "ptp4l",
    "symptom": "no lock",
    "severity": "high",
    "confidence": 0.5,
    "evidence": ["port is down"],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without a database: the agent's side needs none."""
    (tmp_path / CONFIG_NAME).parent.mkdir(parents=True)
    (tmp_path / CONFIG_NAME).write_text("{}\n")
    return Project(tmp_path, "null")


@pytest.fixture
def single(project: Project) -> Iterator[FileDispatcher]:
    """The dispatcher of suite s1."""
    dispatcher = FileDispatcher(project.var / "calibrate" / "s1", timeout=LIMIT)
    yield dispatcher
    dispatcher.close()


def answering(project: Project, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a verb that reads an answer from stdin."""
    return subprocess.run(
        [*TRAILBLAZER, "signals", *words],
        cwd=project.folder,
        env=project.settings(),
        input=text,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def test_an_agent_takes_a_signal_and_answers_it(project: Project, single: FileDispatcher) -> None:
    """`next` prints the prompt and how to answer, `submit` publishes."""
    post = single.post(contexts(1))
    taken = project.run("signals", "next")
    assert 0 == taken.code, taken.err
    assert taken.out.startswith("What is wrong with case 0?\n")
    (line,) = (line for line in taken.out.splitlines() if " submit " in line)
    (project.folder / "ANSWER.json").write_text(json.dumps(TRIAGE))
    submitted = project.run(*shlex.split(line.partition("trailblazer ")[2]))
    assert 0 == submitted.code, submitted.err
    (result,) = post.results()
    assert ("done", TRIAGE) == (result.status, result.data)


def test_next_as_json(project: Project, single: FileDispatcher) -> None:
    """`next --json` is one object with paths inside of the suite, and null when nothing waits."""
    post = single.post(contexts(1))
    document = json.loads(single.suite.signal(1).read_bytes())
    single.suite.signal(1).write_text(json.dumps(document | {"prompt_path": "/etc/passwd", "artifact_path": "/tmp/x"}))
    taken = json.loads(project.run("signals", "next", "--json").out)
    assert {
        "suite": "s1",
        "dispatch_id": 1,
        "case_id": "c0",
        "step": "triage",
        "prompt": single.suite.prompt(1).read_text(),
        "prompt_path": str(single.suite.prompt(1)),
        "artifact_path": str(single.suite.artifact(1)),
    } == taken
    none = project.run("signals", "next", "--json")
    assert [0, None] == [none.code, json.loads(none.out)]
    post.abandon("the test is over")


def test_next_waits(project: Project, single: FileDispatcher) -> None:
    """`next --wait` takes a signal that is written after it began to wait."""
    single.suite.make()
    with project.running("signals", "next", "--wait", f"{LIMIT:g}", "--json") as agent:
        post = single.post(contexts(1))
        assert agent.stdout is not None
        taken = json.loads(agent.stdout.read())
    assert 1 == taken["dispatch_id"]
    post.abandon("the test is over")


def test_an_answer_comes_by_stdin(project: Project, single: FileDispatcher) -> None:
    """A whole artifact is taken as well as its data; one for another signal is refused."""
    post = single.post(contexts(2))
    other = answering(project, json.dumps({"dispatch_id": 2, "data": TRIAGE}), "submit", "1")
    assert (3, True) == (other.returncode, "the answer is for signal 2, not 1" in other.stderr)
    assert 0 == answering(project, json.dumps({"dispatch_id": 1, "data": TRIAGE}), "submit", "1").returncode
    assert 0 == answering(project, json.dumps(TRIAGE), "submit", "2", "-").returncode
    assert ["done", "done"] == [result.status for result in post.results()]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"category": "product"}', "[" * 5000, '{"x": NaN}'])
def test_a_wrong_answer_is_refused_and_may_be_sent_again(project: Project, single: FileDispatcher, text: str) -> None:
    """What is no answer to the step is one line and exit 3; nothing is published."""
    post = single.post(contexts(1))
    refused = answering(project, text, "submit", "1")
    assert 3 == refused.returncode, refused.stderr
    assert "Traceback" not in refused.stderr
    assert [] == list(single.suite.artifacts.iterdir())
    assert 0 == answering(project, json.dumps(TRIAGE), "submit", "1").returncode
    post.abandon("the test is over")


def test_an_agent_says_why_not(project: Project, single: FileDispatcher) -> None:
    """`fail` is the end of the signal; a second answer is exit 6."""
    post = single.post(contexts(1))
    assert 0 == project.run("signals", "fail", "1", "the log is empty").code
    second = project.run("signals", "fail", "1", "again")
    assert 6 == second.code
    assert says_one_thing(second), second.err
    assert ["the log is empty"] == [result.error for result in post.results()]


def test_a_late_answer_is_kept_and_says_so(project: Project, single: FileDispatcher) -> None:
    """`submit` to a signal that has ended is exit 6, and names where the answer is."""
    post = single.post(contexts(1))
    post.abandon("the test is over")
    late = answering(project, json.dumps(TRIAGE), "submit", "1")
    assert 6 == late.returncode
    assert "signal 1 has ended: the test is over" in late.stderr
    assert str(single.suite.rejected / "1.1.json") in late.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["next", "--suite", "s9"], "there is no suite s9"),
        (["submit", "9", "--suite", "s1"], "suite s1 has no signal 9"),
        (["fail", "9", "why"], "suite s1 has no signal 9"),
        (["watch", "--suite", "../s1"], "there is no suite ../s1"),
    ],
)
def test_a_wrong_suite_or_signal_is_exit_4(
    project: Project, single: FileDispatcher, words: list[str], why: str
) -> None:
    """The words name something that is not there."""
    single.suite.make()
    refused = project.run("signals", *words)
    assert 4 == refused.code, refused.err
    assert why in refused.err
    assert says_one_thing(refused), refused.err


def test_there_is_no_suite(project: Project) -> None:
    """Without any suite the words say how to get one."""
    refused = project.run("signals", "next")
    assert (4, True) == (refused.code, "there is no suite" in refused.err)


def test_a_suite_is_named_by_its_folder(project: Project, tmp_path: Path) -> None:
    """--suite takes a folder anywhere, and finds what earlier programs kept in .asterisk/calibrate (S9)."""
    for folder, name in ((tmp_path / "far away", "far away"), (project.folder / ".asterisk/calibrate/old", "old")):
        single = FileDispatcher(folder, timeout=LIMIT)
        post = single.post(contexts(1))
        taken = project.run("signals", "next", "--suite", name)
        (line,) = (line for line in taken.out.splitlines() if " fail " in line)
        failed = project.run(*shlex.split(line.partition("trailblazer ")[2]))
        assert 0 == failed.code, failed.err
        assert ["why"] == [result.error for result in post.results()]
        single.close()


def test_watch_shows_each_change_until_all_have_ended(project: Project, single: FileDispatcher) -> None:
    """A line for each change, as JSON or for people, and the end when nothing is open."""
    post = single.post([Context("c\n0\x1b[2J", "triage", "?"), *contexts(1)])
    with project.running("signals", "watch", "--json") as watching:
        assert watching.stdout is not None
        first = [json.loads(watching.stdout.readline()) for _ in range(2)]
        post.abandon("it\nis over")
        last = [json.loads(line) for line in watching.stdout]
        assert 0 == watching.wait(LIMIT)
    assert ["waiting", "waiting"] == [line["status"] for line in first]
    assert [(1, "error"), (2, "error")] == [(line["dispatch_id"], line["status"]) for line in last]
    plain = project.run("signals", "watch")
    assert ["1 c 0^[[2J triage error it is over", "2 c0 triage error it is over"] == [
        " ".join(line.split()) for line in plain.out.splitlines()
    ]


def test_what_is_shown_on_a_line_is_plain(project: Project, single: FileDispatcher) -> None:
    """The name of a case cannot write a second line or an escape sequence."""
    post = single.post([Context("c0\nSignal 9 \x1b[2J", "triage", "?")])
    shown = project.run("signals", "next").out
    assert "Signal 1, case c0 Signal 9 ^[[2J, step triage." in shown.splitlines()
    assert State.WAITING is read_signal(single.suite.signal(1)).status
    wait_for(lambda: single.suite.taking(1).exists(), "it is taken")
    post.abandon("the test is over")
