"""Amounts as people write them: 90, 10m, 2h of time; 64M, 2G of memory."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trailblazer.errors import WordsWrong

SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
TIMES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
MOST = 1_000_000
LARGEST_AMOUNT = 10**15  # a petabyte; in seconds more than a system can wait


def read_amount(text: str, units: Mapping[str, int]) -> float:
    """Return the amount that a text like `10m` means, in the unit with the value 1. Another text is WordsWrong."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]?)", str(text).strip())
    if not found or found[2] not in units:
        letters = " ".join(filter(None, units))
        hint = f"A number, or a number and one of: {letters}." if letters else "A number."
        raise WordsWrong(f"{text[:40]!r} is not an amount", hint)
    amount = float(found[1]) * units[found[2]]
    if amount > LARGEST_AMOUNT:
        raise WordsWrong(f"{text[:40]!r} is out of range", "Leave it out where there is no limit.")
    return amount
