"""The numbers of signals and batches only grow (S7)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from signals.acting import LIMIT, contexts, run_script
from trailblazer.errors import StorageTrouble
from trailblazer.signals import BatchFileDispatcher, FileDispatcher
from trailblazer.signals.suite import Suite, number_of

PROCESSES, EACH = 4, 100
COUNTING = """
import sys
from pathlib import Path
from trailblazer.signals.suite import Suite
suite = Suite(Path(sys.argv[1]))
for index in range(int(sys.argv[2])):
    print(suite.next_id(suite.signals if index % 2 else suite.batches))
"""


def test_numbers_grow_over_processes_at_once(tmp_path: Path) -> None:
    """Four processes that take 100 numbers each get 400 different ones, and each sees its own grow."""
    command = [sys.executable, "-c", COUNTING, str(tmp_path), str(EACH)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    found = [list(map(int, process.communicate(timeout=LIMIT)[0].split())) for process in running]
    assert [sorted(numbers) for numbers in found] == found
    assert list(range(1, PROCESSES * EACH + 1)) == sorted(number for numbers in found for number in numbers)


def test_numbers_grow_over_restarts(tmp_path: Path) -> None:
    """A process that starts anew goes on where the one before stopped."""
    first, second = (list(map(int, run_script(COUNTING, tmp_path, 3).stdout.split())) for _ in range(2))
    assert [[1, 2, 3], [4, 5, 6]] == [first, second]


@pytest.mark.parametrize(
    "counter",
    [None, b"", b"7", b"3\n", b"0\n", b"-5\n", b"1e9\n", b"\xff\xfe\n", b"\xb2\n", b"9" * 32, b"9" * 31 + b"\n", b"\n"],
)
def test_numbers_grow_when_the_counter_is_lost_or_wrong(tmp_path: Path, counter: bytes | None) -> None:
    """The folders of signals and batches are asked when the counter was lost, torn, set back or never was one."""
    suite = Suite(tmp_path)
    for kind in (suite.signals, suite.batches, suite.signals, suite.batches, suite.signals):
        last = suite.next_id(kind)
    (tmp_path / "last_id").unlink()
    if counter is not None:
        (tmp_path / "last_id").write_bytes(counter)
    assert [last + 1, last + 2] == [Suite(tmp_path).next_id(suite.signals) for _ in range(2)]


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, Path.mkdir, lambda place: place.symlink_to("/etc/hostname"), lambda place: place.symlink_to(place)],
    ids=["pipe", "folder", "link", "link to itself"],
)
def test_a_counter_that_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe, a folder or a link in the place of the counter is one Trouble at once; a link is not followed."""
    Suite(tmp_path).make()
    make(tmp_path / "last_id")
    with pytest.raises(StorageTrouble, match="last_id"):
        Suite(tmp_path).next_id()


def test_hostile_names_are_no_numbers(tmp_path: Path) -> None:
    """What others make in signals/ is passed over when numbers are sought there."""
    suite = Suite(tmp_path)
    suite.make()
    for name in ("²", "٣", "007", "9" * 16, "9" * 250, "1\n2", "-1", "+1", " 1", "", "new\nline", "\udcff"):
        if name:
            (suite.signals / name).mkdir()
    assert 1 == suite.next_id(suite.signals)


@pytest.mark.parametrize("name", ["", ".json", "a.json", "²", "٣.json", "01", "0", "1.5", "1\n.json", "1" * 16])
def test_what_is_no_number(name: str) -> None:
    """Only whole numbers from 1 on, as we write them, are numbers."""
    assert number_of(name) is None


@pytest.mark.parametrize("kind", ["signals", "batches", "artifacts", "taken", "rejected"])
def test_a_folder_that_leads_out_of_the_suite_is_refused(tmp_path: Path, kind: str) -> None:
    """A suite one of whose folders is a link is not worked in."""
    (tmp_path / "suite").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "suite" / kind).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageTrouble, match="is a link"):
        FileDispatcher(tmp_path / "suite").post(contexts(1))
    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_signals_and_batches_share_their_numbers(tmp_path: Path) -> None:
    """No number is given twice in a suite, not even to a signal and a batch."""
    single = FileDispatcher(tmp_path, timeout=LIMIT)
    batches = [BatchFileDispatcher(single).post(contexts(2)) for _ in range(3)]
    numbers = [number for batch in batches for number in (batch.id, *batch.numbers)]
    assert list(range(1, 10)) == numbers
    for batch in batches:
        batch.end()
        list(batch.results())
    single.close()
