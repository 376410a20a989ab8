"""A round of signals (S9): 200 signals, 16 writers and readers, kills of agents and of the dispatcher.

`python -m chaos.signal_rounds rounds=50 seed=5` prints what was counted, at the end as JSON; what must be 0 is 0.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.figures import Figures
from chaos.signalling import SIGNALS, Acting, Dispatching, Lines, case_name, read_on
from trailblazer.signals import FileDispatcher
from trailblazer.signals.artifacts import Artifact, read_artifact
from trailblazer.signals.documents import State, read_signal
from trailblazer.signals.suite import Suite, numbers_in

AGENTS, READERS = 12, 4
DISPATCHER_KILLS, AGENT_KILLS = 3, 8
LONGEST_SECONDS = 240.0
ROUNDS = 50


class SignalsRound:
    """One round in a folder of its own. Every process is forked, so that 16 of them start at once."""

    def __init__(self, folder: Path, seed: str, figures: Figures) -> None:
        self.folder, self.seed, self.figures = folder, seed, figures
        self.chance = random.Random(seed)
        self.suite = Suite(folder / "suite")
        self.started = 0
        folder.mkdir(parents=True)

    def carry(self) -> None:
        """Run the processes and kill some of them until all signals have an answer; then judge."""
        agents = [self.fork(self.act) for _ in range(AGENTS)]
        readers = [self.fork(self.read) for _ in range(READERS)]
        dispatcher = self.fork(self.dispatch)
        kills = [*["dispatcher"] * DISPATCHER_KILLS, *["agent"] * AGENT_KILLS]
        self.chance.shuffle(kills)
        deadline = time.monotonic() + LONGEST_SECONDS
        code: int | None = None
        while code is None and time.monotonic() < deadline:
            time.sleep(self.chance.uniform(0.02, 0.3))
            victim = kills.pop() if kills else ""
            if victim == "agent":
                place = self.chance.randrange(AGENTS)
                self.kill(agents[place])
                agents[place] = self.fork(self.act)
            elif victim == "dispatcher":
                self.kill(dispatcher)
                dispatcher = self.fork(self.dispatch)
            code = _code_of(dispatcher)
        if code is None:
            self.figures.find("hung", 1, self.where())
            self.kill(dispatcher)
        (self.folder / "stop").touch()
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in (*agents, *readers)]
        if code or any(codes):
            self.figures.find("hung", [code, *codes], f"{self.where()}: they ended in another way")
        FileDispatcher(self.suite.folder).sweep()
        self.judge()
        self.figures.lanes["signals"] += 1

    def dispatch(self, seed: str) -> None:
        """Be the dispatcher."""
        Dispatching(self.folder, seed).work()

    def act(self, seed: str) -> None:
        """Be an agent."""
        Acting(self.folder, seed).work()

    def read(self, seed: str) -> None:
        """Be a reader."""
        read_on(self.folder, seed)

    def fork(self, act: Callable[[str], None]) -> int:
        """Do something in a process of its own, and return its pid."""
        self.started += 1
        child = os.fork()
        if not child:
            code = 1
            try:
                act(f"{self.seed}/{self.started}")
                code = 0
            except BaseException as error:
                Lines(self.folder / "diary").add(kind="broken", why=repr(error))
                raise
            finally:
                os._exit(code)
        return child

    def kill(self, pid: int) -> None:
        """Kill a process with SIGKILL."""
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.figures.kills += 1

    def where(self) -> str:
        """Name the round for a person who looks for it."""
        return f"signals round in {self.folder}"

    def judge(self) -> None:
        """Count what must not be."""
        journal, diary = Lines(self.folder / "journal").read(), Lines(self.folder / "diary").read()
        done = [line for line in journal if line["kind"] == "done"]
        self.figures.items += SIGNALS
        self.figures.harms["late answers"] += sum(line["kind"] == "late" for line in diary)
        answered = Counter(line["case"] for line in done)
        self.figures.find("lost", sorted(set(map(case_name, range(SIGNALS))) - set(answered)), self.where())
        self.figures.find("lost", self.dropped({line["number"] for line in done}, journal), self.where())
        taken = Counter(line["number"] for line in diary if line["kind"] == "taken")
        posted = Counter(number for line in journal if line["kind"] == "post" for number, _ in line["pairs"])
        settled = Counter(line["number"] for line in journal if line["kind"] in {"done", "failed"})
        for counted in (taken, posted, settled):
            self.figures.find("doubled", [name for name, count in counted.items() if count > 1], self.where())
        self.figures.find("wrong", [line for line in done if not self.is_right(line)], self.where())
        self.figures.find("torn", [line for line in diary if line["kind"] == "torn"], self.where())
        self.figures.find("hung", [line for line in diary if line["kind"] == "broken"], self.where())
        self.figures.find("late", self.late_in_place(), self.where())
        self.figures.find("back", self.went_back(journal), self.where())

    def dropped(self, accepted: set[int], journal: list[dict[str, Any]]) -> list[int]:
        """Return the signals that were accepted on the disk and that the journal does not know as answered."""
        posted = {number for line in journal if line["kind"] == "post" for number, _ in line["pairs"]}
        return [
            number
            for number in sorted(posted - accepted)
            if read_signal(self.suite.signal(number)).status is State.DONE
        ]

    def is_right(self, line: dict[str, Any]) -> bool:
        """Say whether a result is the answer to its signal, as it lies in artifacts/."""
        data, number = json.loads(line["text"])["data"], line["number"]
        kept = read_artifact(self.suite.artifact(number), number)
        return (
            [number, line["case"]] == [data["number"], data["case"]]
            and isinstance(kept, Artifact)
            and [number, line["case"]] == [kept.data["number"], kept.data["case"]]
            and read_signal(self.suite.signal(number)).status is State.DONE
        )

    def late_in_place(self) -> list[int]:
        """Return the signals that ended with an error and whose place in artifacts/ is not empty."""
        return [
            number
            for number in sorted(numbers_in(self.suite.artifacts))
            if read_signal(self.suite.signal(number)).status is State.ERROR
        ]

    def went_back(self, journal: list[dict[str, Any]]) -> list[int]:
        """Return the numbers that are not larger than all that were there when their dispatcher began."""
        newest = {line["pid"]: line["newest"] for line in journal if line["kind"] == "begin"}
        posts = [line for line in journal if line["kind"] == "post"]
        numbers = [(line["pid"], number) for line in posts for number in (line["batch"], *_numbers(line)) if number]
        return [number for pid, number in numbers if number <= newest[pid]]


def _numbers(line: dict[str, Any]) -> list[int]:
    return [number for number, _ in line["pairs"]]


def _code_of(pid: int) -> int | None:
    """Return the exit code of a child, or None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def main(words: list[str]) -> int:
    """Carry out rounds and print the figures; 1 when something that must be 0 is not."""
    given = dict(word.lstrip("-").partition("=")[::2] for word in words)
    seed = given.get("seed") or str(random.SystemRandom().randrange(1 << 32))
    rounds = int(given.get("rounds", ROUNDS))
    folder = Path(given.get("folder") or tempfile.mkdtemp(prefix="trailblazer-signals-"))
    print(f"signals: seed {seed}, {rounds} rounds, folder {folder}", flush=True)
    figures = Figures()
    for number in range(rounds):
        SignalsRound(folder / f"round {number}", f"{seed}/{number}", figures).carry()
    print("\n".join([*figures.lines(), json.dumps(figures.document())]), flush=True)
    return 0 if figures.is_clean else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
