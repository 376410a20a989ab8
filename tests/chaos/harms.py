"""What is done to a dispatch at a random moment. Each harm is undone before it returns, but for what it killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from chaos.rounds import Round
from chaos.watching import kill, marked, wait_until

Process = subprocess.Popen[bytes]
Harm = Callable[[Round, Process], None]
LATEST_SECONDS = 2.5
JUMPS = (-400 * 86400, -86400, -7200, -5, 5, 7200, 86400, 400 * 86400)  # seconds


def at_a_random_moment(harm: Harm) -> Harm:
    """Return a harm that waits a random time first, and is not done to a dispatcher that has ended by then."""

    def later(harmed: Round, process: Process) -> None:
        pause = harmed.chance.uniform(0, LATEST_SECONDS) * harmed.chance.random()
        if not wait_until(lambda: process.poll() is not None, pause, 0.002):
            harmed.figures.harms[harm.__name__] += 1
            harm(harmed, process)

    return later


def kill_dispatcher(harmed: Round, process: Process) -> None:
    """Kill the dispatcher alone."""
    harmed.figures.kills += kill(process.pid)


def kill_group(harmed: Round, process: Process) -> None:
    """Kill the dispatcher with its whole process group, as a terminal that goes away may do."""
    os.killpg(process.pid, signal.SIGKILL)
    harmed.figures.kills += 1


def kill_children(harmed: Round, process: Process) -> None:  # noqa: ARG001 - every harm is called so
    """Kill up to three of the processes that the dispatch has started."""
    for folder in harmed.project.dispatches:
        found = marked(folder)
        for pid in harmed.chance.sample(found, min(len(found), 3)):
            harmed.figures.kills += kill(pid)


def kill_postmaster(harmed: Round, process: Process) -> None:  # noqa: ARG001
    """Kill the postmaster, and start it again a moment later."""
    harmed.server.kill()
    harmed.figures.kills += 1
    time.sleep(harmed.chance.uniform(0, 1))
    harmed.server.start()


def restart_postgres(harmed: Round, process: Process) -> None:  # noqa: ARG001
    """Stop the server in order or as in a crash, and start it again."""
    harmed.server.stop(harmed.chance.choice(["fast", "immediate"]))
    harmed.server.start()


def freeze_postgres(harmed: Round, process: Process) -> None:
    """Have the server answer nobody for a while; sometimes the dispatcher is killed meanwhile."""
    harmed.server.freeze()
    try:
        time.sleep(harmed.chance.uniform(0, 2))
        if harmed.chance.random() < 0.3:
            kill_dispatcher(harmed, process)
    finally:
        harmed.server.thaw()


def freeze_dispatcher(harmed: Round, process: Process) -> None:
    """Stop the dispatcher for a while."""
    kill(process.pid, signal.SIGSTOP)
    time.sleep(harmed.chance.uniform(0, 1.5))
    kill(process.pid, signal.SIGCONT)


def interrupt(harmed: Round, process: Process) -> None:
    """Interrupt it once, twice or three times."""
    for _ in range(harmed.chance.randint(1, 3)):
        if process.poll() is None:
            kill(process.pid, harmed.chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
        time.sleep(harmed.chance.uniform(0, 0.5))


def begin_twice(harmed: Round, process: Process) -> None:
    """Start the same command a second time beside it, and sometimes kill one of the two.

    A batch that is begun twice is two batches: only a resume of it has to be alone.
    """
    words = [str(word) for word in process.args[3:]]  # type: ignore[index]
    if harmed.lane == "items" and "--resume" not in words:
        kill_dispatcher(harmed, process)
        return
    other = harmed.begin(words)
    if harmed.chance.random() < 0.5:
        time.sleep(harmed.chance.uniform(0, 1))
        kill_dispatcher(harmed, harmed.chance.choice([process, other]))
    harmed.end(other)


def jump_clock(harmed: Round, process: Process) -> None:  # noqa: ARG001
    """Set the dispatcher's clock forward or back."""
    assert harmed.clock is not None
    harmed.clock.set_wrong(harmed.chance.choice(JUMPS))


def fill_disk(harmed: Round, process: Process) -> None:  # noqa: ARG001
    """Leave no byte free where the project is, for a while."""
    ballast = harmed.project.folder / "ballast"
    try:
        _fill(ballast)
        time.sleep(harmed.chance.uniform(0.1, 1.5))
    finally:
        ballast.unlink(missing_ok=True)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for piece in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"x" * piece) == piece:
                    pass
            except OSError:
                continue


ALWAYS: tuple[Harm, ...] = (
    *(kill_dispatcher, kill_dispatcher, kill_group, kill_children, kill_postmaster, restart_postgres),
    *(freeze_postgres, freeze_dispatcher, interrupt, begin_twice),
)
