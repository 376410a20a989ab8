"""An agent of the chaos: it does what an item does (work.py), as its prompt says: ATTEMPT > INDEX KIND SECONDS."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - starts in 10 ms

from work import main  # type: ignore[import-not-found]

attempt, _, index, kind, seconds = sys.stdin.read().split()
sys.argv[2:] = [index, attempt, kind, seconds]
main()
