"""Nights that go wrong: rounds of every lane, one after the other, each harmed at random moments."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos import harms
from chaos.clocks import WrongClock, build_library
from chaos.figures import Figures
from chaos.harms import ALWAYS, at_a_random_moment
from chaos.issues import IssuesRound
from chaos.rounds import EmbedRound, ItemsRound, Round
from chaos.servers import OwnServer, own_server
from chaos.service import WatchingServer, watching
from chaos.slots import kill_while_slots_start
from lanes.embed.project import Project
from trailblazer.paths import CONFIG_NAME

LONG_MINUTES = 5.0
SLOT_ROUNDS = 30
SMALL_DISK = "24m"
MOST_HARMED = 3
SIGNALS_SHARE = 0.1


class Chaos:
    """Rounds in a folder, one after the other."""

    def __init__(self, folder: Path, seed: int, server: OwnServer, service: WatchingServer) -> None:
        self.folder, self.seed, self.server, self.service = folder, seed, server, service
        self.dsn = server.make_database("chaos")
        self.figures = Figures()
        self.disk = folder / "disk"
        self.library = build_library(folder)

    def go_on(self, minutes: float) -> Figures:
        """Carry out rounds for so many minutes, at least one, and return what was counted."""
        deadline, number = time.monotonic() + 60 * minutes, 0
        while number == 0 or time.monotonic() < deadline:
            number += 1
            self.round(number)
        return self.figures

    def kill_while_slots_start(self) -> None:
        """Kill a dispatcher while 100 slots start, again and again (issue 10, A 4)."""
        chance = random.Random(self.seed)
        for number in range(SLOT_ROUNDS):
            where = self.folder / f"slots {number}"
            (where / CONFIG_NAME).parent.mkdir(parents=True)
            (where / CONFIG_NAME).write_text("{}\n")
            before = len(self.figures.findings)
            kill_while_slots_start(Project(where, "null"), chance, self.figures)
            self.figures.lanes["slots"] += 1
            self.forget(where, before)

    def forget(self, where: Path, before: int) -> None:
        """Remove what a round left, or say what was found since there were so many findings."""
        if len(self.figures.findings) == before:
            for left in (where, *where.parent.glob(f"{where.name} *")):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
        else:
            if where.parent == self.disk:  # the disk goes away with the night
                for left in (where, *where.parent.glob(f"{where.name} *")):
                    shutil.move(left, self.folder)
            print(f"{where.name}: " + "; ".join(self.figures.findings[before:]), flush=True)

    def round(self, number: int) -> None:
        """Carry out one round. Its chances depend on the seed and its number alone."""
        chance = random.Random(f"{self.seed}/{number}")
        if chance.random() < SIGNALS_SHARE:
            self.round_of_signals(number)
            return
        special = chance.choice([None, None, None, "disk", "clock"])
        if special == "disk" and not self.disk.is_mount():
            special = None
        if special == "clock" and self.library is None:
            special = None
        where = (self.disk if special == "disk" else self.folder) / f"round {number}"
        carried = self.prepare(where, chance)
        choices = ALWAYS
        if special == "disk":
            choices = (harms.fill_disk, harms.fill_disk, harms.kill_dispatcher)
        if special == "clock" and self.library is not None:
            carried.clock = WrongClock(self.library, self.folder / f"clock-{number}")
            choices = (harms.jump_clock, harms.jump_clock, harms.kill_dispatcher, harms.begin_twice)
        before = len(self.figures.findings)
        carried.carry(carried.words, at_a_random_moment(chance.choice(choices)))
        for _ in range(chance.randrange(MOST_HARMED)):
            words = [*carried.resume_words, "latest"] if carried.can_resume else carried.words
            carried.carry(words, at_a_random_moment(chance.choice(choices)))
        carried.finish()
        self.forget(where, before)

    def round_of_signals(self, number: int) -> None:
        """Carry out a round of signals in a process of its own: it forks, and here are threads."""
        where, before = self.folder / f"round {number}", len(self.figures.findings)
        words = ["rounds=1", f"seed={self.seed}/{number}", f"folder={where}"]
        done = subprocess.run(
            [sys.executable, "-m", "chaos.signal_rounds", *words],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            check=False,
            text=True,
        )
        self.figures.add(Figures(**json.loads(done.stdout.splitlines()[-1])))
        self.forget(where, before)

    def prepare(self, where: Path, chance: random.Random) -> Round:
        """Make a round of a lane."""
        lane = chance.choice(["items", "items", "dispatch", "run", "issues"])
        if lane == "issues":
            issues = IssuesRound(where, chance, self.server, self.dsn, self.figures)
            issues.prepare()
            return issues
        if lane == "items":
            items = ItemsRound(where, chance, self.server, self.dsn, self.figures)
            items.prepare()
            return items
        embedding = EmbedRound(where, chance, self.server, self.dsn, self.figures)
        embedding.prepare(self.service, by_run=lane == "run")
        return embedding


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Mount a small disk while the block runs, where we may."""
    place.mkdir()
    is_mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=0700", "none", str(place)],
            check=False,
            capture_output=True,
        ).returncode
    )
    try:
        yield
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)


def chaos(folder: Path, seed: int, minutes: float) -> Figures:
    """Carry out rounds for so many minutes and return what was counted; what went wrong is left in the folder."""
    with own_server() as server, watching(0.03) as service, small_disk(folder / "disk"):
        night = Chaos(folder, seed, server, service)
        if minutes >= LONG_MINUTES:
            night.kill_while_slots_start()
        return night.go_on(minutes)
