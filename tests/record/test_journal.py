"""The journal: linked lines, cut tails, damage reported with its line."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from trailblazer import schemas
from trailblazer.errors import DocumentInvalid
from trailblazer.record.journal import Journal, read_journal
from trailblazer.record.lines import (
    KINDS,
    Begun,
    Closed,
    Grown,
    LeftRunning,
    Line,
    Opened,
    Postponed,
    Resumed,
    Retried,
    Settled,
    Started,
    Steered,
    Switched,
    Warned,
)

KILLED = """
import os, sys
from pathlib import Path
from trailblazer.record.journal import Journal
from trailblazer.record.lines import Warned
journal = Journal(Path(sys.argv[1]))
for number in range(10_000):
    journal.append(Warned(reason=str(number)))
    if number == 500:
        journal.commit()
        print("committed", flush=True)
"""


def reasons(file: Path) -> list[str]:
    """Return what the warnings of a journal say, in order."""
    return [line.reason for line in read_journal(file) if isinstance(line, Warned)]


def test_a_torn_tail_is_cut_and_the_next_line_stands(tmp_path: Path) -> None:
    """Half a line that a killed writer left is cut off before the next is appended, and never an error (rule 1)."""
    file = tmp_path / "journal.ndjson"
    journal = Journal(file)
    journal.append(Warned(reason="first"))
    journal.close()
    with file.open("ab") as torn:
        torn.write(b'{"kind":"torn"')
    assert ["first"] == reasons(file)
    journal = Journal(file)
    journal.append(Warned(reason="second"))
    journal.close()
    assert ["first", "second"] == reasons(file)


@pytest.mark.parametrize("damage", ["change", "drop", "swap", "noise"])
def test_damage_in_the_middle_is_told_by_its_line(tmp_path: Path, damage: str) -> None:
    """A line that was changed, dropped, moved or overwritten breaks the chain at that place."""
    file = tmp_path / "journal.ndjson"
    journal = Journal(file)
    for number in range(5):
        journal.append(Warned(reason=str(number)))
    journal.close()
    lines = file.read_bytes().splitlines(keepends=True)
    if damage == "change":
        lines[1] = lines[1].replace(b'"reason":"1"', b'"reason":"7"')
    elif damage == "drop":
        del lines[1]
    elif damage == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[1] = b"noise\n"
    file.write_bytes(b"".join(lines))
    with pytest.raises(DocumentInvalid, match=r"journal\.ndjson:[23] "):
        list(read_journal(file))


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    """Lines that many threads append at once are all there, and linked."""
    file = tmp_path / "journal.ndjson"
    journal = Journal(file)

    def write(who: int) -> None:
        for number in range(100):
            journal.append(Warned(reason=f"{who} {number}"))

    threads = [threading.Thread(target=write, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert {f"{who} {number}" for who in range(8) for number in range(100)} == set(reasons(file))


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    """What was said to be committed is in the journal of a writer that was killed, which can be read and written on."""
    file = tmp_path / "journal.ndjson"
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert "committed\n" == writer.stdout.readline()
    writer.kill()
    writer.wait()
    numbers = [int(reason) for reason in reasons(file)]
    assert list(range(len(numbers))) == numbers
    assert len(numbers) > 500
    journal = Journal(file)
    journal.append(Warned(reason="more"))
    journal.close()
    assert len(numbers) + 1 == sum(1 for _ in read_journal(file))


LINES = [
    Opened(dispatch="20261121T120000Z", planned=3, host="host", pid=7),
    Resumed(unsealed=True, ended=2, host="host", pid=8, changed=("a was added",)),
    Grown(planned=5),
    Started(item="a", index=0, attempt=1, phase="embed"),
    Begun(attempts=[[0, 1]], handle={"pid": 7}),
    Retried(item="a", index=0, attempt=1, reason="away", after=1.0, usage={"costUSD": 1.0}),
    Postponed(item="a", index=0, attempt=2, reason="quota", after=60.0),
    Switched(provider="claude", to="closed", reason="its quota is used up", until=1795000000.5),
    LeftRunning(item="a", index=0, attempt=3, reason="fire and forget"),
    Settled(item="a", index=0, attempt=4, status="success", usage={"tokens": 3}, details={"exit_code": 0}),
    Warned(reason="odd", item="a"),
    Steered(action="add", word="more.txt", by="ada", uid=1000, pid=9, answer="2 items added"),
    Closed(status="finished", exit_code=0),
]


def test_every_kind_of_line_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """What is written is read back by the one reader, and every line satisfies the schema (G6)."""
    file = tmp_path / "journal.ndjson"
    journal = Journal(file)
    for line in LINES:
        journal.append(line)
    journal.close()
    assert set(KINDS.values()) == {type(line) for line in LINES}
    read = [replace(line, at="") for line in read_journal(file)]
    assert [_plain(line) for line in LINES] == [_plain(line) for line in read]
    for text in file.read_text().splitlines():
        schemas.check("journal_line", json.loads(text), str(file))


def _plain(line: Line) -> tuple[type[Line], str]:
    return type(line), json.dumps(asdict(line))
