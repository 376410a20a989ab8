"""A dispatcher that is killed while its slots start leaves nothing that runs beside what resume starts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chaos.figures import Figures
from chaos.slots import kill_while_slots_start
from lanes.items.batches import Batches
from trailblazer.paths import CONFIG_NAME

pytestmark = pytest.mark.proof

ROUNDS = 5


def test_killed_while_100_slots_start_nothing_survives_a_resume(tmp_path: Path) -> None:
    """Issue 10 A 4: no process survives resume, and no attempt runs beside another one; forks and daemons too."""
    figures, chance = Figures(), random.Random(4)
    for number in range(ROUNDS):
        folder = tmp_path / f"round {number}"
        (folder / CONFIG_NAME).parent.mkdir(parents=True)
        (folder / CONFIG_NAME).write_text("{}\n")
        kill_while_slots_start(Batches(folder, "null"), chance, figures)
    assert figures.is_clean, figures.lines()
    assert (ROUNDS, 100 * ROUNDS) == (figures.kills, figures.items)
