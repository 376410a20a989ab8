"""Gates write nothing: each is asked with a role of Postgres that may only read (design: free and without effect)."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from fixtures.embedding_server import EmbeddingServer
from lanes.embed.project import STOCK, Project
from trailblazer.config import load_config
from trailblazer.dispatch.lane import Dispatch
from trailblazer.lanes.embed.lane import EmbedLane
from trailblazer.lanes.embed.request import EmbedParameters
from trailblazer.pipeline.messages import Doing
from trailblazer.record.outcomes import Item

READER = "gate_reader"


@pytest.fixture
def reader(make_project: Callable[[EmbeddingServer | None], Project]) -> Project:
    """A project whose database is reached by a role that may only read."""
    project = make_project(None)
    assert 0 == project.run("dispatch", f"plan-file={project.write_plan(*STOCK[:2])}").code
    with psycopg.connect(project.dsn, autocommit=True) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {READER}".encode())
        connection.execute(f"CREATE ROLE {READER} LOGIN".encode())
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}".encode())
        connection.execute(f"ALTER ROLE {READER} SET default_transaction_read_only = on".encode())
    return Project(project.folder, project.dsn.replace("user=trailblazer", f"user={READER}"), project.environment)


@pytest.mark.parametrize(("phase", "only_changed"), [("embed", True), ("embed", False), ("chunk", False)])
def test_every_gate_only_reads(
    reader: Project, monkeypatch: pytest.MonkeyPatch, phase: Doing, only_changed: bool
) -> None:
    """A gate answers for a ready, an unchanged and a missing run together, although nothing may be written."""
    monkeypatch.setenv("TRAILBLAZER_DB_URL", reader.dsn)
    monkeypatch.chdir(reader.folder)
    config = load_config()
    parameters = EmbedParameters(phases=(phase,), since="2026-01-01T00:00:00+00:00")  # type: ignore[arg-type]
    upcoming: dict[str, list[str]] = {phase: [*STOCK]}
    lane = EmbedLane(config, parameters, group=1, only_changed=only_changed, waiting_only=False, upcoming=upcoming)
    lane.check()
    lane.open(Dispatch("gates", reader.folder, "00-" + "1" * 32 + "-" + "2" * 16 + "-00"))
    try:
        runs = (STOCK[0], STOCK[3], "nowhere")
        refused = lane.gate([Item(index, run, phase=phase) for index, run in enumerate(runs)])
    finally:
        lane.close()
    assert ([STOCK[0]] if only_changed else []) + ["nowhere"] == [one.item.id for one in refused]
