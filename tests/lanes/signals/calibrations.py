"""Calibrates with the real program, beside agents that work through files."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lanes.embed.project import Finished, Project, read_json, wait_for
from trailblazer.errors import Trouble
from trailblazer.lanes.signals.scenario import Scenario, read_scenario
from trailblazer.lanes.signals.stub import stub_answer
from trailblazer.signals.agents import Found, Taker, submit
from trailblazer.signals.documents import BatchManifest, read_manifest
from trailblazer.signals.suite import Suite

SPENDING = {"tokens_per_case", "tokens_total", "seconds_per_signal"}


class Calibrations(Project):
    """A project that calibrates."""

    def calibrate(self, *words: str, scenario: str = "ptp-mock", **settings: str) -> Finished:
        """Calibrate to the end."""
        return self.run("calibrate", "--scenario", scenario, *words, **settings)

    @property
    def suite(self) -> Suite:
        """The newest suite."""
        return Suite(max((self.var / "calibrate").iterdir()))

    @property
    def manifests(self) -> list[BatchManifest]:
        """The manifests of the newest suite, by the numbers of the batches."""
        files = (self.suite.folder / "batches").glob("*/batch-manifest.json")  # a batch without one is none yet
        return [read_manifest(file) for file in sorted(files, key=lambda file: int(file.parent.name))]

    @property
    def results(self) -> bytes:
        """The newest scorecard without what time and tokens decide."""
        card = read_json(self.dispatch / "scorecard.json")
        kept = [metric for metric in card["metrics"] if metric["name"] not in SPENDING]
        return json.dumps({**card, "metrics": kept, "spent": None}, sort_keys=True).encode()

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The transitions in the newest events."""
        lines = (self.dispatch / "events.ndjson").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == "signals.change"]

    @property
    def tokens(self) -> list[dict[str, Any]]:
        """The token records of the newest dispatch."""
        lines = (self.dispatch / "tokens.ndjson").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @contextlib.contextmanager
    def agents(self, count: int, do: Callable[[Found], None]) -> Iterator[None]:
        """Have agents take what they find beside the block, in the newest suite, and do something with each signal."""
        over = threading.Event()

        def work() -> None:
            while not over.is_set() and not (self.var / "calibrate").is_dir():
                time.sleep(0.01)
            takers: dict[Path, Taker] = {}
            while not over.is_set():
                suite = self.suite
                taker = takers.setdefault(suite.folder, Taker(suite))
                if (found := taker.take(0.05)) is not None:
                    do(found)

        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def wait_for_batch(self) -> BatchManifest:
        """Return the first manifest of the newest suite, as soon as it is there."""
        wait_for(lambda: list((self.var / "calibrate").glob("*/batches/*/batch-manifest.json")), "there is a batch")
        return self.manifests[0]


def right_answers(scenario: str = "ptp-mock", pause: float = 0.0) -> Callable[[Found], None]:
    """Return what an agent does that knows the answers, and is slower or faster."""
    known: Scenario = read_scenario(scenario)

    def answer(found: Found) -> None:
        time.sleep(random.uniform(0, pause))
        with contextlib.suppress(Trouble):  # the signal has ended
            submit(found, stub_answer(known, found.signal.step, found.signal.case_id))

    return answer


def typed_answers(scenario: str) -> str:
    """Return what a person would type for a scenario with --dispatch stdin."""
    known = read_scenario(scenario)
    asked = [("triage", case.id) for case in known.cases]
    asked += [("investigate", cluster.representative) for cluster in known.expected_clusters()]
    return "".join(json.dumps(stub_answer(known, step, case_id)) + "\n" for step, case_id in asked)
