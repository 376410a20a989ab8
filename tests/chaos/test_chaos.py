"""Two minutes of what `make chaos` does for as long as it is asked."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chaos.nights import chaos

MINUTES = 2.0


@pytest.mark.xdist_group("chaos")
def test_two_minutes_of_chaos_lose_nothing(tmp_path: Path) -> None:
    """Nothing is lost, doubled, run again although good, left alive or unsealed, whatever is killed and when."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"make chaos seed={seed} minutes={MINUTES:g}")
    figures = chaos(tmp_path, seed, MINUTES)
    print("\n".join(figures.lines()))
    assert figures.is_clean, f"make chaos seed={seed}\n" + "\n".join(figures.lines())
    assert figures.kills
    assert figures.items
