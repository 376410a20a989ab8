"""Kills a dispatcher while 100 slots start (issue 10, A 4)."""

from __future__ import annotations

import random
import time

from chaos.batch import RESUME, batch_words, diary_of
from chaos.figures import Figures
from chaos.watching import kill, survivors, wait_until
from lanes.embed.project import Project

SLOTS = 100
KINDS = ("plain", "plain", "fork", "daemon")


def kill_while_slots_start(project: Project, chance: random.Random, figures: Figures) -> None:
    """Kill the dispatcher when some of 100 items have begun, resume it, and count what it left."""
    diary = diary_of(project)
    words = batch_words(project, [chance.choice(KINDS) for _ in range(SLOTS)], 60, "--max-workers", str(SLOTS))
    begun = chance.randrange(SLOTS)
    with project.running(*words) as process:
        assert wait_until(lambda: sum(diary.begun().values()) > begun, 60, 0.001)
        time.sleep(chance.uniform(0, 0.01))
        figures.kills += kill(process.pid)
        process.wait()
    (diary.folder / "quick").touch()
    done = project.run(*RESUME)
    figures.items += SLOTS
    figures.find("lost", [] if done.code == 0 else [done.code, done.err], str(project.folder))
    figures.find("lost", sorted(set(range(SLOTS)) - set(diary.begun())), str(project.folder))
    figures.find("doubled", diary.beside(), str(project.folder))
    figures.find("survivors", survivors(project.dispatch), str(project.folder))
