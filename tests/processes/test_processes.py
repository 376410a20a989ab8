"""Processes have an identity, are ended in groups, and hold a lock only while they live (rule 5)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lanes.embed.project import wait_for
from trailblazer.errors import AlreadyRunning, StorageTrouble
from trailblazer.processes.children import Child, Children, start_failure
from trailblazer.processes.identity import Identity, boot_id, holder_name, is_running, own_identity, start_ticks
from trailblazer.processes.lock import Lock
from trailblazer.processes.marks import end_marked
from trailblazer.processes.spawning import environment_block

HOLDER = """
import sys
from pathlib import Path
from trailblazer.errors import AlreadyRunning
from trailblazer.processes.lock import Lock
try:
    lock = Lock(Path(sys.argv[1]), AlreadyRunning("held", "Wait."))
except AlreadyRunning as refused:
    sys.exit(refused.what)
print("mine", flush=True)
sys.stdin.read()
"""
# Starts a grandchild that ignores TERM, prints its pid, and waits.
FAMILY = "trap '' TERM; sleep 600 & echo $!; wait; sleep 600"


@pytest.fixture
def children() -> Iterator[Children]:
    """Children that are all ended after the test."""
    made = Children(f"tests-{os.getpid()}#")
    yield made
    made.close()


def _start(children: Children, *argv: str, out: Path | None = None, limit: float | None = None, **more: str) -> Child:
    nothing = os.open(os.devnull, os.O_RDWR)
    stdout = os.open(out, os.O_WRONLY | os.O_CREAT, 0o600) if out else os.dup(nothing)
    block = environment_block({"PATH": os.environ["PATH"], **more})
    try:
        return children.start(
            argv, stdin=nothing, stdout=stdout, stderr=nothing, environment=block, limit_seconds=limit
        )
    finally:
        os.close(nothing)
        os.close(stdout)


def _family(children: Children, out: Path, limit: float | None = None) -> tuple[Child, int]:
    """Start a child with a child of its own; return the child, and the pid of the grandchild."""
    child = _start(children, "sh", "-c", FAMILY, out=out, limit=limit)
    wait_for(lambda: out.read_text().endswith("\n"), "the grandchild runs")
    return child, int(out.read_text())


def _holder(file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("end", ["kill", "freely"])
def test_a_process_holds_a_lock_as_long_as_it_lives(tmp_path: Path, end: str) -> None:
    """A lock is refused with the pid of its holder until the holder ends, also by kill -9."""
    file = tmp_path / "lock"
    with _holder(file) as first:
        assert first.stdout is not None
        assert "mine\n" == first.stdout.readline()
        with pytest.raises(AlreadyRunning, match=rf"held \(pid {first.pid} since 20\S+Z\)") as refused:
            Lock(file, AlreadyRunning("held", "Wait."))
        assert 7 == refused.value.exit_code
        if end == "kill":
            first.kill()
        else:
            first.communicate("")
        first.wait()
    own = Lock(file, AlreadyRunning("held", "Wait."))
    assert file.read_text().startswith(f"pid {os.getpid()} since 20")
    with _holder(file) as second:
        assert (1, f"held ({file.read_text()})\n") == (second.wait(), second.stderr.read() if second.stderr else "")
    own.free()
    Lock(file, AlreadyRunning("held", "Wait.")).free()


def test_one_of_many_processes_gets_a_lock(tmp_path: Path) -> None:
    """When many processes ask for a lock at once, exactly one gets it."""
    asking = [_holder(tmp_path / "lock") for _ in range(6)]
    refused = 0
    for process in asking:
        assert process.stdout is not None
        refused += process.stdout.readline() == ""
    for process in asking:
        process.communicate("")
    assert (5, [0, 1, 1, 1, 1, 1]) == (refused, sorted(process.returncode for process in asking))


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A lock in a folder that does not exist is StorageTrouble with its path."""
    with pytest.raises(StorageTrouble, match="nowhere"):
        Lock(tmp_path / "nowhere" / "lock", AlreadyRunning("held", ""))


def test_an_identity_is_more_than_a_pid() -> None:
    """A process with another pid, another start or another boot is not the same process."""
    own = own_identity()
    assert (os.getpid(), boot_id()) == (own.pid, own.boot)
    others = [replace(own, ticks=own.ticks - 1), replace(own, boot="another boot"), replace(own, pid=2**30)]
    assert [True, False, False, False] == [is_running(identity) for identity in (own, *others)]


def test_a_holder_is_a_host_and_a_pid() -> None:
    """A claim is signed with host/pid, by default that of this process (B1)."""
    assert f"{socket.gethostname()}/{os.getpid()}" == holder_name()
    assert "there/7" == holder_name("there", 7)


def test_a_zombie_does_not_run(tmp_path: Path) -> None:
    """A process that ended and was not reaped has no start, and one with brackets in its name has one."""
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"]) as process:
        ticks = start_ticks(process.pid)
        assert ticks is not None
        assert ticks >= own_identity().ticks
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert start_ticks(process.pid) is None


def test_a_child_leads_a_session_and_gets_what_it_is_given(children: Children, tmp_path: Path) -> None:
    """Each child has a session of its own, exactly its argv and environment, and an empty stdin (rules 5 and 6)."""
    out = tmp_path / "out"
    script = "import os, sys; print(os.getsid(0) == os.getpid(), sys.argv[1:], sys.stdin.read(), sorted(os.environ))"
    child = _start(children, sys.executable, "-I", "-c", script, "$(a) ; b", "", "é", out=out, ONLY="x")
    ended = children.wait(child)
    assert (0, None, "") == (ended.exit_code, ended.signal, ended.why)
    known = out.read_text().replace("'LC_CTYPE', ", "")  # Python itself sets it without a locale
    assert "True ['$(a) ; b', '', 'é']  ['ONLY', 'PATH', 'TRAILBLAZING']\n" == known
    assert ended.peak_memory_kib > 0


def test_the_group_of_a_child_ends_with_the_child(children: Children, tmp_path: Path) -> None:
    """When a child ends, its process group is killed and the child is reaped (rule 5)."""
    child, grandchild = _family(children, tmp_path / "out")
    os.kill(child.pid, signal.SIGKILL)
    ended = children.wait(child)
    assert (None, signal.SIGKILL, "") == (ended.exit_code, ended.signal, ended.why)
    wait_for(lambda: start_ticks(grandchild) is None, "the grandchild is gone")
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, os.WNOHANG)


def test_a_child_past_its_limit_is_ended_with_its_group(children: Children, tmp_path: Path) -> None:
    """A group past its time limit is asked to end and then killed, and the child says why it ended (rule 5, P5)."""
    child, grandchild = _family(children, tmp_path / "out", limit=0.001)

    wait_for(lambda: child.why, "its time is up")
    assert start_ticks(grandchild) is not None  # it ignores TERM
    children.end(child, "cancelled", grace=0)
    ended = children.wait(child)
    assert ("timeout", signal.SIGKILL) == (ended.why, ended.signal)
    wait_for(lambda: start_ticks(grandchild) is None, "the grandchild is gone")


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for handle in (0, 1, 2):
            os.close(handle)
        with open(sys.argv[1], "w") as note:
            note.write(str(os.getpid()) + "\\n")
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""


def test_a_daemon_ends_with_its_item(children: Children, tmp_path: Path) -> None:
    """A daemon in a session of its own is ended with the child that started it (rule 5)."""
    note = tmp_path / "note"
    child = _start(children, sys.executable, "-I", "-c", DAEMON, str(note))
    assert 0 == children.wait(child).exit_code
    wait_for(lambda: note.read_text().endswith("\n"), "the daemon has written its pid")
    wait_for(lambda: start_ticks(int(note.read_text())) is None, "the daemon is gone")


def test_closing_ends_every_process_with_the_mark(children: Children, tmp_path: Path) -> None:
    """At the close every process with the mark of the dispatch is ended (rule 5)."""
    note = tmp_path / "note"
    words = [sys.executable, "-I", "-c", DAEMON, str(note)]
    marked = {**os.environ, "TRAILBLAZING": f"tests-{os.getpid()}#7.1"}
    subprocess.run(words, env=marked, check=True)
    pid = int(note.read_text())
    assert start_ticks(pid) is not None
    assert 1 == children.close()
    assert start_ticks(pid) is None


def test_processes_are_ended_by_identity(tmp_path: Path) -> None:
    """A group that was written down is ended, and a pid that another process has now is not (rule 10)."""
    out = tmp_path / "out"
    with out.open("w") as opened:
        leader = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=opened, start_new_session=True)
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        wait_for(lambda: out.read_text().endswith("\n"), "the grandchild runs")
        found = [Identity(pid, start_ticks(pid) or 0, boot_id()) for pid in (leader.pid, bystander.pid)]
        others = [replace(found[1], ticks=found[1].ticks - 1), Identity(2**30, 1, boot_id())]
        assert 1 == end_marked("no such mark#", [found[0], *others])
        wait_for(lambda: start_ticks(int(out.read_text())) is None, "the grandchild is gone")
        assert (None, None) == (start_ticks(leader.pid), bystander.poll())
    finally:
        for process in (leader, bystander):
            process.kill()
            process.wait()


CROWDED = """
import resource, sys
from pathlib import Path
from trailblazer.places.local import Local
from trailblazer.providers.command import Order
place = Local(Path(sys.argv[1]), {})
pages = int(Path("/proc/self/statm").read_text().split()[0])
size = pages * resource.getpagesize() + (4 << 20)  # no room for the stack of another thread
resource.setrlimit(resource.RLIMIT_AS, (size, size))
order = Order(("true",), sys.argv[1], f"{sys.argv[1]}/output", limit_seconds=60, log_cap=1000)
print(place.start(order, "1.1").wait().exit_code)
"""


def test_an_order_starts_when_the_system_gives_no_more_threads(tmp_path: Path) -> None:
    """A place needs no further thread to start an order, so slots that took every thread do the work (rule 4)."""
    words = [sys.executable, "-c", CROWDED, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert "0\n" == done.stdout, done.stderr


@pytest.mark.parametrize(
    ("argv", "beginning"),
    [
        (["no-such-command-at-all"], "command not found: no-such-command-at-all"),
        (["/dev/null"], "cannot start /dev/null: Permission denied"),
        (["true", "x" * 3_000_000], "the argument list is too long for this system"),
    ],
)
def test_a_command_that_cannot_start_is_explained(children: Children, argv: list[str], beginning: str) -> None:
    """One line says why a command cannot start: it is missing, not executable, or too long (P5)."""
    with pytest.raises(OSError, match=r".") as failed:
        _start(children, *argv)
    assert start_failure(failed.value, argv[0]).startswith(beginning)
