"""Amounts over time in a fixed number of columns, however long the time turns out to be."""

from __future__ import annotations

from array import array

MOST = 180
FIRST_WIDTH = 0.02
Name = str | tuple[int, str]


class Columns:
    """Amounts by name and column. When the time grows past the last column, columns merge in pairs.

    `width` is in seconds. The memory depends on the number of names alone.
    """

    def __init__(self) -> None:
        self.width = FIRST_WIDTH
        self.rows: dict[Name, array[float]] = {}

    def _row(self, name: Name) -> array[float]:
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = array("d", bytes(8 * MOST))
        return row

    def _column(self, moment: float) -> int:
        column = int(moment / self.width)
        while column >= MOST:
            self._merge()
            column = int(moment / self.width)
        return column

    def _merge(self) -> None:
        self.width *= 2
        for name, row in self.rows.items():
            halves = [row[at] + row[at + 1] for at in range(0, MOST, 2)]
            self.rows[name] = array("d", [*halves, *([0.0] * (MOST - len(halves)))])

    def count(self, name: Name, moment: float, amount: float = 1.0) -> None:
        """Add an amount at a moment (seconds from the start)."""
        column = self._column(moment)
        self._row(name)[column] += amount

    def spread(self, start: float, end: float, *names: Name) -> None:
        """Add the seconds from `start` to `end`, which is no earlier, to the columns of each name in which they lie."""
        last = self._column(end)
        width = self.width
        first = int(start / width)
        for name in names:
            row = self.rows.get(name) or self._row(name)
            if first == last:
                row[last] += end - start
                continue
            row[first] += (first + 1) * width - start
            for column in range(first + 1, last):
                row[column] += width
            row[last] += end - last * width

    def of(self, name: Name, used: int) -> tuple[float, ...]:
        """Return the amounts of the first `used` columns."""
        return tuple(self.rows[name][:used]) if name in self.rows else (0.0,) * used

    def used(self, moment: float) -> int:
        """Return how many columns a time of so many seconds takes, at least one."""
        return min(MOST, self._column(moment) + 1)
