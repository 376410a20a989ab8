"""Does to every lane what a bad night does: `python -m chaos minutes=20 seed=5`. Everything but kills and items is 0.

The same seed chooses the same rounds and harms; the moments are as exact as the machine is.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from chaos.nights import chaos

MINUTES = 20.0
WORDS = {"minutes", "seed"}


def main(words: list[str]) -> int:
    """Read the words, print the seed and the figures; on failure say how to repeat it and return 1."""
    given = dict(word.lstrip("-").partition("=")[::2] for word in words)
    if not given.keys() <= WORDS:
        print("chaos: the words are minutes=N and seed=N", file=sys.stderr)
        return 2
    seed = int(given.get("seed", random.SystemRandom().randrange(1 << 32)))
    minutes = float(given.get("minutes", MINUTES))
    folder = Path(tempfile.mkdtemp(prefix="trailblazer-chaos-"))
    print(f"chaos: seed {seed}, {minutes:g} minutes, folder {folder}", flush=True)
    figures = chaos(folder, seed, minutes)
    print("\n".join(figures.lines()), flush=True)
    if figures.is_clean:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        return 0
    print(f"Repeat it: make chaos seed={seed} minutes={minutes:g}   What it left is in {folder}")
    return 1


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main(sys.argv[1:]))
