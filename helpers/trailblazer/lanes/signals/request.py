"""What `calibrate` was asked for, as one record; the manifest keeps it for a resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trailblazer import schemas
from trailblazer.config import Config
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.lanes.amounts import MOST, TIMES, read_amount
from trailblazer.paths import check_id
from trailblazer.record.manifest import Manifest

LANE = "signals"
STUB, AGENT = "stub", "agent"
STDIN, FILE, BATCH_FILE = "stdin", "file", "batch-file"
LEEWAY_SECONDS = 10.0  # for a provider whose time is over: to end, and to be judged


@dataclass(frozen=True, slots=True)
class SignalsRequest:
    """The words of a calibration, with what the configuration says where a word was not given.

    `adapter` is who answers: stub, or agent (the `provider`; without one whoever watches the folder). `dispatch` is
    how work gets there: stdin, file, batch-file. `timeout_seconds` is the limit of each signal. `token_budget` is in
    tokens, prompts and artifacts together.
    """

    scenario: str
    adapter: str
    dispatch: str
    parallel: int
    batch_size: int
    timeout_seconds: float
    retries: int
    token_budget: float | None = None
    provider: str | None = None
    model: str | None = None
    suite: str | None = None
    cost_report: bool = False
    notes: str = ""

    def parameters(self) -> dict[str, Any]:
        """Return the request as the manifest keeps it."""
        return {"lane": LANE, "words": dataclasses.asdict(self)}

    @property
    def group(self) -> int:
        """How many signals go together."""
        return self.batch_size if self.dispatch == BATCH_FILE else 1

    @property
    def slots(self) -> int:
        """How many groups are under way at once: a person on stdin answers one question after the other."""
        return 1 if self.dispatch == STDIN else max(1, self.parallel // self.group)

    @property
    def open_seconds(self) -> float:
        """How long a signal is open. A provider has its time, after others of its group, and says what it has used."""
        if self.provider is None:
            return self.timeout_seconds
        return self.timeout_seconds * -(-self.group // self.parallel) + LEEWAY_SECONDS


def read_request(config: Config, said: Mapping[str, Any]) -> SignalsRequest:
    """Return the request that words mean over a configuration. Words that do not go together are WordsWrong."""
    if not said.get("scenario"):
        raise WordsWrong("there is no scenario", "For example: --scenario ptp-mock")
    timeout = said.get("timeout")
    limit = 60 * config["signals.timeout_minutes"] if timeout is None else read_amount(timeout, TIMES)
    words = {
        "adapter": AGENT,
        "dispatch": FILE,
        "parallel": config["dispatch.workers"],
        "batch_size": config["signals.batch_size"],
        "retries": config["signals.retries"],
        **{name: value for name, value in said.items() if name != "timeout"},
    }
    request = SignalsRequest(timeout_seconds=limit, **words)
    numbers = {"parallel": request.parallel, "batch-size": request.batch_size}
    if wrong := next((name for name, number in numbers.items() if not 1 <= number <= MOST), None):
        raise WordsWrong(f"--{wrong} {numbers[wrong]} is out of range", f"From 1 to {MOST}.")
    if not limit > 0:
        raise WordsWrong("--timeout 0 is no limit", "Every wait has a limit: 10m, 2h, 1d.")
    if request.provider and (request.adapter != AGENT or request.dispatch == STDIN):
        raise WordsWrong("--provider is for --adapter agent", "Leave out --provider, or --adapter and --dispatch.")
    if request.suite:
        check_id(request.suite, "suite")
    return request


def stored_request(manifest: Manifest) -> SignalsRequest:
    """Return what an earlier calibration was asked for; a dispatch of another lane is PlanUnusable (exit 4)."""
    if manifest.lane != LANE:
        raise PlanUnusable(f"dispatch {manifest.dispatch_id} is not a calibration", "To see one: trailblazer monitor")
    return schemas.as_record(SignalsRequest, manifest.parameters.get("words", {}))
