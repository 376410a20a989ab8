"""Each @test of a .bats file is a test of pytest, so that one command runs and counts them all."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_NAME = re.compile(r"^@test (['\"])(.+)\1 \{$", re.MULTILINE)
_TAGS = re.compile(r"^# bats file_tags=(\S+)$", re.MULTILINE)
_RESULT = re.compile(r"^(?:not )?ok (\d+) ")


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    """Collect .bats files."""
    return BatsFile.from_parent(parent, path=file_path) if file_path.suffix == ".bats" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give a worker one test after the other, or all tests of a .bats file, which run together.

    This takes the place of `--dist loadgroup`, which pytest-xdist 3.8 does not do under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    scheduling: Any = LoadScopeScheduling(config, log)
    scheduling._split_scope = lambda nodeid: nodeid.split("::")[0] if ".bats::" in nodeid else nodeid
    return scheduling


class BatsFile(pytest.File):
    """A .bats file, run once, when the first of its tests is wanted."""

    results: dict[int, list[str]] | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item for each @test; the tags of the file are marks."""
        text = self.path.read_text()
        tags = [tag for line in _TAGS.findall(text) for tag in line.split(",")]
        for number, found in enumerate(_NAME.finditer(text), start=1):
            test = BatsTest.from_parent(self, name=found[2], number=number)
            for tag in tags:
                test.add_marker(tag)
            yield test

    def lines_of(self, number: int) -> list[str]:
        """Return what bats said of a test, by its number: its result, then the words below it."""
        if self.results is None:
            self.results = _run_bats(self.path)
        return self.results.get(number) or ["not ok: bats did not get to this test", *self.results[0]]


class BatsTest(pytest.Item):
    """One @test."""

    def __init__(self, number: int, **given: Any) -> None:
        super().__init__(**given)
        self.number = number

    def runtest(self) -> None:
        """Pass, skip or fail as bats did."""
        assert isinstance(self.parent, BatsFile)
        result, *words = self.parent.lines_of(self.number)
        if " # skip" in result:
            pytest.skip(result.partition(" # skip")[2].strip())
        if not result.startswith("ok"):
            pytest.fail("\n".join([result, *words]), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the test stands."""
        return self.path, None, self.name


def _run_bats(file: Path) -> dict[int, list[str]]:
    with subprocess.Popen(
        [Path(sys.executable).with_name("bats"), "--formatter", "tap", file],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            output, _ = child.communicate()
    number, results = 0, dict[int, list[str]]({0: []})
    for line in output.splitlines():
        found = _RESULT.match(line)
        number = int(found[1]) if found else number
        results.setdefault(number, []).append(line)
    return results
