"""The workers of a dispatch find out how many requests the embedder's service stands."""

from __future__ import annotations

import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project
from trailblazer.config import load_config
from trailblazer.dispatch.lane import Dispatch, Held
from trailblazer.lanes.embed.lane import EmbedLane
from trailblazer.lanes.embed.request import EMBED_ONLY, EmbedParameters
from trailblazer.lanes.embed.served import Served
from trailblazer.pipeline.messages import Reply
from trailblazer.record.admission import WIDE
from trailblazer.record.outcomes import Item, Outcome, Status


def test_a_429_that_a_worker_hears_takes_slots_away(
    project: Project, service: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker asks again and the run succeeds; the lane has room for four workers instead of five."""
    for name, value in project.settings(dispatch_workers="5").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(project.folder)
    parameters = EmbedParameters(phases=EMBED_ONLY, since="2026-01-01T00:00:00+00:00")
    upcoming = {"embed": [STOCK[0]]}
    lane = EmbedLane(load_config(), parameters, group=1, only_changed=False, waiting_only=False, upcoming=upcoming)
    lane.check()
    lane.open(Dispatch("served", project.folder, "00-" + "1" * 32 + "-" + "2" * 16 + "-00"))
    try:
        before = lane.room()
        service.behaviour, service.failures = "429", len(service.requests) + 1
        held = [one for one in lane.claim([Item(0, STOCK[0], phase="embed")]) if isinstance(one, Held)]
        ((_, answer),) = list(lane.begin(held).wait())
        assert isinstance(answer, Outcome)
        assert Status.SUCCESS is answer.status
        assert (WIDE, 4) == (before, lane.room().slots)
    finally:
        lane.close()


def test_slots_come_back_when_the_service_serves() -> None:
    """Round after round adds one, until there is room for all again."""
    served = Served("openai", 5)
    served.note(Reply("r", limited=1))
    assert 4 == served.room.slots
    for _ in range(4):
        served.begin()
    for _ in range(8):
        served.note(Reply("r"))
    assert 5 == served.room.slots


def test_a_reply_takes_nothing_back() -> None:
    """A reply without a 429 leaves the limit that was found."""
    served = Served("openai", 10)
    served.note(Reply("r", kind="progress", limited=1))
    served.note(Reply("r"))
    assert 8 == served.room.slots
