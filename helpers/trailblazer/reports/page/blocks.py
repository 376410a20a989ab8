"""What a page is made of: panels of sentences, facts, tables, charts and commands.

They are named tuples, as the records of `reports.course.model` are, and for the same reason.
"""

from typing import Literal, NamedTuple

Kind = Literal["text", "number", "status", "links", "code"]


class Column(NamedTuple):
    """A column of a table. In rows a `links` cell is a tuple of links, any other is a text."""

    title: str
    kind: Kind = "text"


class Link(NamedTuple):
    """A word that leads to a file."""

    text: str
    href: str


Cell = str | tuple[Link, ...]


class Table(NamedTuple):
    """Rows under columns. `name` says what they are; `has_filter` lets a person look for words in them."""

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    has_filter: bool = False
    block: str = "table"


class Facts(NamedTuple):
    """Names and values. A value may be copied."""

    pairs: tuple[tuple[str, str], ...]
    block: str = "facts"


class Command(NamedTuple):
    """A command line that a person may copy, and what it is for."""

    why: str
    text: str


class Commands(NamedTuple):
    """Command lines."""

    lines: tuple[Command, ...]
    block: str = "commands"


class Words(NamedTuple):
    """Sentences."""

    text: str
    block: str = "words"


class Shape(NamedTuple):
    """A line or an area of a chart, as an SVG path, in the colour of its class."""

    look: str
    path: str
    title: str = ""


class Key(NamedTuple):
    """What a colour of a chart means."""

    look: str
    text: str


class Chart(NamedTuple):
    """A picture of `width` by `height` units that is stretched to the width of its panel; `pixels` high.

    `label` says in words what can be seen. `axis` are the words under it, from left to right.
    """

    label: str
    width: float
    height: float
    pixels: int
    shapes: tuple[Shape, ...]
    axis: tuple[str, ...] = ()
    keys: tuple[Key, ...] = ()
    block: str = "chart"


Block = Table | Facts | Commands | Words | Chart


class Panel(NamedTuple):
    """One question and its answer: `answer` is a sentence, `blocks` show it."""

    name: str
    title: str
    answer: str
    blocks: tuple[Block, ...] = ()
    is_wide: bool = False


class Page(NamedTuple):
    """A whole page. `mood` (good, bad, busy, odd) is its colour."""

    title: str
    heading: str
    verdict: str
    mood: str
    facts: tuple[tuple[str, str], ...]
    panels: tuple[Panel, ...] = ()
    made_at: str = ""
