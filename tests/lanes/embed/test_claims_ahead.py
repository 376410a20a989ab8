"""Claims of the next runs of a plan, taken with the completion of those before (B2)."""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import Project
from trailblazer.config import load_config
from trailblazer.database.backlog import upsert_run
from trailblazer.database.connection import connect
from trailblazer.dispatch.lane import Held
from trailblazer.lanes.embed.lane import EmbedLane
from trailblazer.lanes.embed.request import BACKLOG, EmbedParameters
from trailblazer.pipeline.messages import Reply
from trailblazer.record.outcomes import Item


def test_slots_side_by_side_claim_ahead_what_no_slot_has(project: Project, service: EmbeddingServer) -> None:
    """B2: while two slots work on the first two groups, the completion of each claims a group that is still free."""
    keys = {"provider": "openai", "base_url": service.base_url, "model": "tiny", "dimension": 8}
    config = load_config({"db.url": project.dsn} | {f"embed.{name}": value for name, value in keys.items()})
    plan = [f"r-{number}" for number in range(10)]
    lane = EmbedLane(
        config,
        EmbedParameters(lane=BACKLOG, phases=("chunk",)),
        group=2,
        only_changed=True,
        waiting_only=True,
        upcoming={"chunk": plan},
    )
    lane.check()
    with connect(config) as connection:
        for run_id in plan:
            upsert_run(connection, run_id)

        def held() -> list[str]:
            rows = connection.execute("SELECT run_id FROM processed_runs WHERE status = 'chunking' ORDER BY run_id")
            return [row[0] for row in rows]

        first, second = claimed(lane, plan[0:2]), claimed(lane, plan[2:4])
        settle(lane, first)
        assert plan[2:6] == held()
        settle(lane, second)
        assert plan[4:8] == held()
        settle(lane, claimed(lane, plan[6:8]))
        assert [*plan[4:6], *plan[8:10]] == held()
        settle(lane, claimed(lane, plan[4:6]))
        settle(lane, claimed(lane, plan[8:10]))
        assert [] == held()
    lane.close()


def claimed(lane: EmbedLane, runs: Sequence[str]) -> list[Held]:
    """Claim runs for chunking, which must succeed."""
    answers = lane.claim([Item(int(run[2:]), run, phase="chunk") for run in runs])
    assert all(isinstance(answer, Held) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Held)]


def settle(lane: EmbedLane, held: Sequence[Held]) -> None:
    """Complete claims."""
    assert len(held) == len(list(lane.settle([(one, Reply(one.item.id, documents=1, chunks=1)) for one in held])))
