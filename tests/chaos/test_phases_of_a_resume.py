"""A run is embedded after its chunks are made, also when an earlier process had cancelled the chunking."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from dispatch.engine_alone import open_new
from trailblazer.config import Config, load_config
from trailblazer.database import server, vitals
from trailblazer.lanes.embed.runs import RunsPlan, Step
from trailblazer.paths import CONFIG_NAME
from trailblazer.record.folder import hold, reopen_record
from trailblazer.record.outcomes import Item, Outcome, Refusal, Status

pytestmark = pytest.mark.proof

STEPS = [Step("alpha", "chunk"), Step("alpha", "embed")]


def test_a_cancelled_chunking_that_is_run_again_is_waited_for(tmp_path: Path) -> None:
    """Rule 10: resume hands the embedding out when the chunking has an outcome of this process, not before."""
    (tmp_path / CONFIG_NAME).parent.mkdir()
    (tmp_path / CONFIG_NAME).write_text("{}\n")
    config = load_config(start=tmp_path)
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(server.stop, vitals.base_of(config.places))  # a run that another holds is asked about there
        _is_waited_for(config)


def _is_waited_for(config: Config) -> None:
    with contextlib.closing(open_new(config.places, len(STEPS))) as record:
        for index, step in enumerate(STEPS):
            record.settle(Item(index, step.run, phase=step.phase), 0, Outcome(Status.CANCELLED, "not run"))
    with contextlib.closing(reopen_record(record.folder, hold(record.folder))) as again:
        plan = RunsPlan(config, again, STEPS, waits=True, say=print)
        turns = plan.turns()
        chunking = next(turns)
        assert chunking is not None
        assert "chunk" == chunking.phase
        again.start(chunking, 1)
        assert next(turns) is None
        held = Outcome(Status.SKIPPED, "held by another", Refusal.HELD)
        again.settle(chunking, 1, held)
        plan.settled(chunking, held)
        assert next(turns) is None
        again.settle(chunking, 2, Outcome(Status.SUCCESS))
        plan.settled(chunking, Outcome(Status.SUCCESS))
        embedding = next(turns)
        assert embedding is not None
        assert "embed" == embedding.phase
