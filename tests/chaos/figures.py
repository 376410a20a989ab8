"""What the chaos counts. Kills and items may be any number; everything else must be 0."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

MUST_BE_ZERO = ("lost", "doubled", "again", "survivors", "unsealed", "hung", "wrong", "torn", "late", "back")
NAMES = {
    "again": "run again although good",
    "wrong": "wrong answers accepted",
    "torn": "torn documents read",
    "late": "late answers not put aside",
    "back": "numbers that went back",
}


@dataclass(slots=True)
class Figures:
    """Counts of one run of the chaos, and a line for each thing that must not be."""

    kills: int = 0
    items: int = 0
    lost: int = 0
    doubled: int = 0
    again: int = 0
    survivors: int = 0
    unsealed: int = 0
    hung: int = 0
    wrong: int = 0
    torn: int = 0
    late: int = 0
    back: int = 0
    harms: Counter[str] = field(default_factory=Counter)
    lanes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    def find(self, name: str, found: object, where: str) -> None:
        """Count what must not be: nothing when `found` is empty."""
        if found:
            count = found if isinstance(found, int) else len(list(found))  # type: ignore[call-overload]
            setattr(self, name, getattr(self, name) + count)
            self.findings.append(f"{NAMES.get(name, name)}: {found} in {where}")

    def document(self) -> dict[str, object]:
        """Return the figures as JSON holds them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def add(self, other: Figures) -> None:
        """Add what another process counted."""
        for name in ("kills", "items", *MUST_BE_ZERO, "findings"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.harms.update(other.harms)
        self.lanes.update(other.lanes)

    @property
    def is_clean(self) -> bool:
        """Whether everything that must be 0 is 0."""
        return not any(getattr(self, name) for name in MUST_BE_ZERO)

    def lines(self) -> list[str]:
        """Return the figures as people read them."""
        names = ("kills", "items", *MUST_BE_ZERO)
        return [
            "rounds: " + ", ".join(f"{name} {count}" for name, count in sorted(self.lanes.items())),
            "harm done: " + ", ".join(f"{name} {count}" for name, count in sorted(self.harms.items())),
            ", ".join(f"{NAMES.get(name, name)} {getattr(self, name)}" for name in names),
            *self.findings,
        ]
