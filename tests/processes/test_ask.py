"""Short questions have an answer within their limit, whatever the program that is asked does (G0)."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from lanes.embed.project import wait_for
from trailblazer.processes.ask import Answer, ask
from trailblazer.processes.identity import start_ticks

# Its child minds no TERM and holds stdout open, as the programs behind a wrapper of npm do.
WRAPPER = "trap '' TERM; sleep 20 & echo $! >{pid}; echo said; {then}"


def _wrapper(folder: Path, then: str) -> tuple[list[str], Path]:
    return ["sh", "-c", WRAPPER.format(pid=folder / "pid", then=then)], folder / "pid"


def test_a_program_that_hangs_is_ended_with_its_group(tmp_path: Path) -> None:
    """Neither the program nor its child outlives the limit, and the child does not hold the answer back."""
    argv, file = _wrapper(tmp_path, "wait")
    answer = ask(argv, seconds=1)
    assert (124, True, "said\n", "sh did not answer within 1 s") == (
        answer.code,
        answer.is_late,
        answer.out,
        answer.err,
    )
    child = int(file.read_text())
    wait_for(lambda: start_ticks(child) is None, "the child has gone")


def test_what_stays_in_the_background_holds_no_answer_back(tmp_path: Path) -> None:
    """A program that has ended has answered, although its child still has its stdout; the child is left alone."""
    argv, file = _wrapper(tmp_path, "exit 3")
    answer = ask(argv, seconds=15)
    assert (3, False, "said\n") == (answer.code, answer.is_late, answer.out)
    child = int(file.read_text())
    assert start_ticks(child) is not None
    os.kill(child, signal.SIGKILL)


def test_a_question_that_is_over_is_ended(tmp_path: Path) -> None:
    """Whoever sets `over` waits for no limit: the program and its child end at once."""
    argv, file = _wrapper(tmp_path, "wait")
    over, said = threading.Event(), list[bool]()
    asking = threading.Thread(target=lambda: said.append(ask(argv, seconds=600, over=over).is_late))
    asking.start()
    wait_for(lambda: file.exists() and file.read_text().endswith("\n"), "the child runs")
    over.set()
    asking.join()
    assert [True] == said
    wait_for(lambda: start_ticks(int(file.read_text())) is None, "the child has gone")


@pytest.mark.parametrize(("code", "said"), [(124, "late?"), (127, "found?")])
def test_a_code_of_the_programs_own_is_no_time_out(code: int, said: str) -> None:
    """A program may end with the codes of a time-out and of a missing program."""
    answer = ask(["sh", "-c", f"echo '{said}' >&2; exit {code}"])
    assert (code, f"{said}\n", False) == (answer.code, answer.err, answer.is_late)


def test_a_program_is_looked_for_on_the_path_that_it_gets(tmp_path: Path) -> None:
    """The PATH of the question counts; a missing program and one that cannot start are answers."""
    program = tmp_path / "oracle"
    program.write_text("#!/bin/sh\necho 42\n")
    program.chmod(0o755)
    assert "42\n" == ask(["oracle"], environment={"PATH": f"{tmp_path}:/bin:/usr/bin"}).out
    assert (127, "command not found: oracle") == _said(ask(["oracle"], environment={"PATH": "/bin"}))
    program.write_text("#!/no/such/shell\n")
    assert 126 == ask([str(program)]).code


def _said(answer: Answer) -> tuple[int, str]:
    return answer.code, answer.err
