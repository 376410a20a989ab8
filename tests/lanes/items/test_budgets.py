"""What agents may spend: a dispatch, a provider, an item. The agents are stand-ins that cost US$ 0.25."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lanes.items.batches import Batches
from lanes.items.standins import OK, Night, calls, configure, says
from trailblazer.record.folder import hold, reopen_record


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with stand-ins `alpha` and `beta`."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, {"alpha": says(tmp_path, "alpha", OK), "beta": says(tmp_path, "beta", OK)})
    return tmp_path


@pytest.mark.parametrize("cap", [{"max_cost_usd": 0.5}, {"max_tokens": 20}])
def test_no_item_starts_past_the_budget(project: Path, cap: dict[str, Any]) -> None:
    """Two items reach the budget: the others are not run, and a resume with the same budget runs nothing either."""
    night = Night(project, **cap)
    record = night.record(4)
    closing = night.carry(record, "abcd")
    assert (6, True) == (closing.exit_code, closing.why.startswith("the budget is spent: "))
    assert 2 == record.standing.good
    record.close()
    again = reopen_record(record.folder, hold(record.folder))
    assert 6 == Night(project, **cap).carry(again, "abcd").exit_code
    again.close()
    assert 2 == len(calls(project, "alpha"))


def test_a_provider_past_its_budget_is_closed_for_the_rest(project: Path) -> None:
    """The next provider takes over."""
    configure(project, {name: project / f"{name}.says" for name in ("alpha", "beta")},
              budget={"provider_max_cost_usd": 0.5})  # fmt: skip
    night = Night(project)
    assert 0 == night.carry(night.record(4), "abcd").exit_code
    assert ["alpha closed", "beta fallback", "beta closed"] == night.names()
    assert (2, 2) == (len(calls(project, "alpha")), len(calls(project, "beta")))


def test_what_a_failed_try_cost_counts(project: Path) -> None:
    """A try whose item goes back to the queue costs as well."""
    says(project, "alpha", {"kind": "auth", "cost": 0.5})
    night = Night(project, max_cost_usd=0.5)
    record = night.record(2)
    assert 6 == night.carry(record, "ab").exit_code
    assert [] == calls(project, "beta")


def test_an_items_cap_goes_to_the_agent(project: Path) -> None:
    """The agent's own option gets what is left for the item."""
    night = Night(project, item_max_cost_usd=0.75)
    night.carry(night.record(1), "a")
    assert ["a 0.7500"] == calls(project, "alpha")


def test_the_screen_and_the_documents_say_it(batches: Batches) -> None:
    """`batch run` stops with exit 6, and screen, manifest and summary name the budget and what each provider did."""
    folder = batches.folder
    configure(folder, {"alpha": says(folder, "alpha", OK)})
    words = ["--items", '["a", "b", "c"]', "--prompt", "{{ item }}", "--provider", "alpha", "--max-workers", "1"]
    done = batches.run("batch", "run", *words, "--max-cost-usd", "0.5", "--yes")
    assert 6 == done.code, done.err
    assert "Exit 6: the budget is spent: US$ 0.5000 of 0.5000 is spent" in done.err
    assert "alpha: 2 attempts, 2 good, 0 failed, US$ 0.5000, 20 tokens" in done.err
    assert "[preflight/alpha] available" in done.err
    assert batches.manifest["reason"].startswith("the budget is spent")
    assert ["success", "success", "cancelled"] == batches.outcomes
    assert "Pre-flight: a: success: done" in done.err
    report = batches.run("report", "latest", "--format", "md", "--output", "-").out
    rows = [line for line in report.splitlines() if line.startswith("| ")]
    assert "| Money | US\\$ 0.5000 | US\\$ 0.5000 (100 %) |" in rows, report
    assert "| Items at once | 1 | 1 |" in rows
    assert any(row.startswith("| Time of one attempt | 1h 00m") for row in rows), report
