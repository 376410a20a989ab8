"""The journal: linked lines, cut tails, damage told by its line."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trailblazer.errors import DocumentInvalid
from trailblazer.record.journal import Journal, read_journal

KILLED = """
import os, sys
from pathlib import Path
from trailblazer.record.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(10_000):
    journal.append("tick", number=number)
    if number == 500:
        journal.commit()
        print("committed", flush=True)
"""


def test_a_torn_tail_is_cut_and_the_next_line_stands(tmp_path: Path) -> None:
    """Half a line that a killed writer left is cut off before the next is appended, and never an error (rule 1)."""
    file = tmp_path / "journal.ndjson"
    journal = Journal(file)
    journal.append("first")
    journal.close()
    with file.open("ab") as torn:
        torn.write(b'{"kind":"torn"')
    assert ["first"] == [line["kind"] for line in read_journal(file)]
    journal = Journal(file)
    journal.append("second")
    journal.close()
    assert ["first", "second"] == [line["kind"] for line in read_journal(file)]


@pytest.mark.parametrize("damage", ["change", "drop", "swap", "noise"])
def test_damage_in_the_middle_is_told_by_its_line(tmp_path: Path, damage: str) -> None:
    """A line that was changed, dropped, moved or overwritten breaks the chain at that place."""
    file = tmp_path / "journal.ndjson"
    journal = Journal(file)
    for number in range(5):
        journal.append("tick", number=number)
    journal.close()
    lines = file.read_bytes().splitlines(keepends=True)
    if damage == "change":
        lines[1] = lines[1].replace(b'"number":1', b'"number":7')
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
            journal.append("tick", who=who, n=number)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    seen = [(line["who"], line["n"]) for line in read_journal(file)]
    assert {(who, n) for who in range(8) for n in range(100)} == set(seen)


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    """What was said to be committed is in the journal of a writer that was killed, which can be read and written on."""
    file = tmp_path / "journal.ndjson"
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert "committed\n" == writer.stdout.readline()
    writer.kill()
    writer.wait()
    numbers = [line["number"] for line in read_journal(file)]
    assert list(range(len(numbers))) == numbers
    assert len(numbers) > 500
    journal = Journal(file)
    journal.append("tick", number=len(numbers))
    journal.close()
    assert len(numbers) + 1 == sum(1 for _ in read_journal(file))
