"""A point of a curve that shows how a cost grows with the size of the work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Point(NamedTuple):
    """What one size of the work costs; `peak_mib` is the largest memory of one of our processes, in MiB."""

    curve: str
    size: int
    seconds: float
    peak_mib: float

    @property
    def microseconds(self) -> float:
        """What one item costs."""
        return 1e6 * self.seconds / self.size


def show(points: Iterable[Point]) -> None:
    """Print points as a table, each as soon as it is there."""
    print(f"{'curve':<52} {'size':>10} {'seconds':>9} {'an item':>12} {'peak':>10}")
    for one in points:
        what = f"{one.curve:<52} {one.size:>10,} {one.seconds:>9.2f}"
        print(f"{what} {one.microseconds:>9,.0f} µs {one.peak_mib:>6,.0f} MiB", flush=True)
