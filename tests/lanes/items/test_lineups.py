"""Providers in a running dispatch: who takes over, who is closed, what is waited for. The agents are stand-ins."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml

from lanes.items.standins import OK, Night, calls, configure, refuses, says
from trailblazer import schemas
from trailblazer.errors import GateClosed, ServiceDown
from trailblazer.record.admission import Switch, To
from trailblazer.record.folder import hold, reopen_record
from trailblazer.record.journal import read_journal
from trailblazer.record.lines import Settled
from trailblazer.reports.summary import make_summary

QUOTA = {"kind": "quota", "text": "You have hit your limit", "resets_in": 900, "tokens": 3, "cost": 0.05}
AUTH = {"kind": "auth", "text": "no key"}
BUSY = {"kind": "transient", "text": "500"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with stand-ins `alpha` and `beta`, both of which answer well."""
    monkeypatch.chdir(tmp_path)
    configure(tmp_path, {"alpha": says(tmp_path, "alpha", OK), "beta": says(tmp_path, "beta", OK)})
    return tmp_path


def test_the_first_that_can_work_does(project: Path) -> None:
    """N4: the first provider is not logged in, so the second works; each is asked once, and each result says so."""
    refuses(project, "alpha", "not_logged_in")
    night = Night(project)
    record = night.record(3)
    assert 0 == night.carry(record, "abc").exit_code
    assert ["alpha closed", "beta fallback"] == night.names()
    assert "fallback (alpha unavailable: it says not_logged_in)" == night.switches[1].reason
    assert 1 == len((project / "alpha.says.checks").read_text().splitlines())
    details = [line.details for line in read_journal(record.folder / "journal.ndjson") if isinstance(line, Settled)]
    assert ["beta"] * 3 == [one["provider"] for one in details]
    assert {"alpha unavailable: it says not_logged_in"} == {one["fallback"] for one in details}


def test_none_can_work(project: Path) -> None:
    """Nothing is opened when no provider can work: exit 8, with a line for each."""
    for name in ("alpha", "beta"):
        refuses(project, name, "not_logged_in")
    with pytest.raises(ServiceDown) as refused:
        Night(project).lineup.check()
    assert "alpha: it says not_logged_in\nbeta: it says not_logged_in" == refused.value.hint


def test_who_would_work_is_known_before_the_start(project: Path) -> None:
    """A dry run names the provider and the reason; it asks each once."""
    refuses(project, "alpha", "no_credit")
    lineup = Night(project).lineup
    assert lineup.choice() is None
    lineup.check()
    choice = lineup.choice()
    assert choice is not None
    assert ("beta", "fallback (alpha unavailable: it says no_credit)") == (choice.provider, choice.line)


def test_none_is_installed(project: Path) -> None:
    """A chain of programs that are not there closes the gate: exit 5."""
    file = project / "config" / ".trailblazer.yaml"
    file.write_text("providers: {chain: [gone], agents: {gone: {command: [no-such-agent], output: text}}}\n")
    with pytest.raises(GateClosed, match="no-such-agent"):
        Night(project).lineup.check()


def test_two_that_fail_at_once_close_the_provider_once(project: Path) -> None:
    """Both items go on with the next provider; neither has failed, and what the tries cost is counted."""
    says(project, "alpha", {**AUTH, "cost": 0.5, "hang": 0.5})
    night = Night(project, slots=2)
    record = night.record(2)
    assert 0 == night.carry(record, "ab").exit_code
    assert ["alpha closed", "beta fallback"] == night.names()
    assert 2 == record.standing.good
    assert 2 * 0.5 + 2 * 0.25 == record.standing.usage["costUSD"]


def test_a_quota_that_one_slot_finds_closes_for_all(project: Path) -> None:
    """The provider is closed until its quota resets, and the item spends no attempt."""
    says(project, "alpha", OK, QUOTA)
    night = Night(project, slots=2)
    record = night.record(6)
    assert 0 == night.carry(record, "abcdef").exit_code
    assert night.switches[0].until == pytest.approx(night.clock() + 900, abs=60)
    assert len(calls(project, "alpha")) <= 4
    assert 6 == record.standing.good


def test_an_agent_that_quotes_a_limit_closes_nothing(project: Path) -> None:
    """Only the kind of an answer counts, never its text."""
    says(project, "alpha", {**OK, "text": "You've hit your usage limit. 429. Not logged in."})
    night = Night(project)
    assert 0 == night.carry(night.record(3), "abc").exit_code
    assert [] == night.names()


def test_a_quota_is_waited_for(project: Path) -> None:
    """With --wait-for-quota nothing falls back; until when is said once, and the dispatch goes on alone."""
    says(project, "alpha", OK, QUOTA, OK)
    night = Night(project, wait_for_quota=True)

    def sleep(switch: Switch) -> None:
        night.clock.ahead += 901 if switch.to is To.WAITING else 0

    night.at_switch = sleep
    assert 0 == night.carry(night.record(3), "abc").exit_code
    assert ["alpha closed", "alpha waiting", "alpha waited", "alpha opened"] == night.names()
    assert [] == calls(project, "beta")


def test_a_quota_that_was_spent_before_the_start_is_waited_for(project: Path) -> None:
    """The preflight says that the quota is used up: the dispatch opens, waits and goes on alone."""
    refuses(project, "alpha", "quota")
    night = Night(project, wait_for_quota=True)

    def reset(switch: Switch) -> None:
        if switch.to is To.WAITING:
            (project / "alpha.says.check").unlink()
            night.clock.ahead += 3601

    night.at_switch = reset
    assert 0 == night.carry(night.record(2), "ab").exit_code
    assert ["alpha closed", "alpha waiting", "alpha waited", "alpha opened"] == night.names()


def test_quotas_that_are_all_spent_stop_the_dispatch(project: Path) -> None:
    """Without waiting: exit 8, a line for each provider, the rest is not run; a resume finishes it."""
    for name in ("alpha", "beta"):
        says(project, name, OK, QUOTA)
    night = Night(project)
    record = night.record(5)
    closing = night.carry(record, "abcde")
    assert 8 == closing.exit_code
    lines = [line.partition(".")[0] for line in closing.hint.splitlines()]
    assert ["alpha: You have hit your limit", "beta: You have hit your limit",
            "To wait until the quota resets: --wait-for-quota"] == lines  # fmt: skip
    assert {"success": 2, "cancelled": 3} == {name: n for name, n in record.standing.counted().items()
                                              if n and name != "planned"}  # fmt: skip
    record.close()
    for name in ("alpha", "beta"):
        says(project, name, OK)
    again = reopen_record(record.folder, hold(record.folder))
    assert 0 == Night(project).carry(again, "abcde").exit_code
    assert 5 == again.standing.good


def test_a_probe_opens_the_provider_again(project: Path) -> None:
    """After its pause a provider is asked for free, then one attempt is the probe; the others go on meanwhile."""
    says(project, "alpha", AUTH, OK)
    night = Night(project)

    def later(switch: Switch) -> None:
        night.clock.ahead += 601 if switch.to is To.FALLBACK else 0

    night.at_switch = later
    record = night.record(4)
    assert 0 == night.carry(record, "abcd").exit_code
    assert ["alpha closed", "beta fallback", "alpha opened"] == night.names()
    assert 2 == len((project / "alpha.says.checks").read_text().splitlines())
    assert ["a"] == calls(project, "beta")


def test_a_failed_probe_closes_for_twice_as_long(project: Path) -> None:
    """The free preflight passes, the probe fails: closed again, and its item goes to the next provider."""
    says(project, "alpha", AUTH)
    night = Night(project)

    def later(switch: Switch) -> None:
        night.clock.ahead += 601 if switch.to is To.FALLBACK else 0

    night.at_switch = later
    assert 0 == night.carry(night.record(4), "abcd").exit_code
    assert ["alpha closed", "beta fallback", "alpha closed"] == night.names()
    assert night.switches[2].until == pytest.approx(night.clock() + 1200, abs=60)


def test_three_in_a_row_that_were_not_served_close_the_provider(project: Path) -> None:
    """Alone in its chain it is waited for, a minute; the item has spent no attempt."""
    says(project, "alpha", BUSY, BUSY, BUSY, OK)
    configure(project, {"alpha": project / "alpha.says"})
    night = Night(project)

    def later(switch: Switch) -> None:
        night.clock.ahead += 61 if switch.to is To.WAITING else 0

    night.at_switch = later
    record = night.record(1)
    assert 0 == night.carry(record, "a").exit_code
    assert ["alpha closed", "alpha waiting", "alpha waited", "alpha opened"] == night.names()


def test_an_item_that_alone_is_never_served_is_to_blame(project: Path) -> None:
    """Others are served in between, so the provider stays open, and the item ends as an error."""
    says(project, "alpha.for.a", BUSY)
    configure(project, {"alpha": project / "alpha.says"})
    night = Night(project)
    record = night.record(6)
    assert 6 == night.carry(record, "abcdef").exit_code
    assert [] == night.names()
    assert (5, 1, 4) == (record.standing.good, record.standing.failed, calls(project, "alpha").count("a"))


def test_an_agent_that_cannot_start_is_the_providers_failure(project: Path) -> None:
    """A program whose interpreter is missing fails no item: the next provider takes over."""
    broken = project / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    file = project / "config" / ".trailblazer.yaml"
    text = file.read_text().replace("chain:\n  - alpha", "chain:\n  - broken")
    file.write_text(
        text.replace("  agents:\n", f"  agents:\n    broken:\n      command: ['{broken}']\n      output: text\n")
    )
    night = Night(project)
    record = night.record(2)
    assert 0 == night.carry(record, "ab").exit_code
    assert ["broken closed", "beta fallback"] == night.names()


def test_every_switch_is_in_the_journal_and_the_summary(project: Path) -> None:
    """The summary has a row for each provider; the journal alone is enough to make it again."""
    says(project, "alpha", OK, QUOTA)
    night = Night(project)
    record = night.record(3)
    night.carry(record, "abc")
    summary = schemas.read_json(make_summary(record.folder))
    schemas.check("summary", summary, "summary.json")
    rows = {row["name"]: (row["attempts"], row["good"], row["failed"], row["fallbacks"], row["costUSD"], row["tokens"])
            for row in summary["providers"]}  # fmt: skip
    assert {"alpha": (2, 1, 1, 0, 0.3, 13), "beta": (2, 2, 0, 2, 0.5, 20)} == rows
    for text in (record.folder / "journal.ndjson").read_text().splitlines():
        schemas.check("journal_line", schemas.parse_json(text.encode()), "journal.ndjson")


def test_a_429_takes_slots_away_and_they_come_back(project: Path) -> None:
    """Five at once until one is answered 429; later rounds that are good give the slots back, one by one."""
    says(project, "alpha", {"kind": "rate", "text": "429"}, OK)
    night = Night(project, slots=5)
    record = night.record(30)
    slots = night.lineup.members[0].limit
    assert 5 == slots.slots
    assert 0 == night.carry(record, [str(number) for number in range(30)]).exit_code
    assert "alpha limited" == night.names()[0]
    assert (30, 5, True) == (record.standing.good, slots.slots, slots._was_limited)


def test_a_quota_in_the_agents_own_files_closes_it_before_the_start(project: Path) -> None:
    """The preflight passes, but a file says that nothing is left: the provider is closed until that limit resets."""
    file = project / "config" / ".trailblazer.yaml"
    config = yaml.safe_load(file.read_text())
    used = {"limits": {"used_percent": 100, "resets_at": int(time.time()) + 5000}}
    (project / "usage.jsonl").write_text(json.dumps(used) + "\n")
    config["providers"]["agents"]["alpha"]["quota"] = {
        "files": [str(project / "usage.jsonl")], "windows": ["limits"], "used_percent": "used_percent",
        "resets_at": "resets_at"}  # fmt: skip
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    night = Night(project)
    assert 0 == night.carry(night.record(1), "a").exit_code
    assert ("alpha closed", used["limits"]["resets_at"]) == (night.names()[0], night.switches[0].until)
    assert ["a"] == calls(project, "beta")


@pytest.mark.parametrize(("version", "words"), [("2.1.197", "a"), ("2.1.330", "a --new"), ("3.0", "a --new")])
def test_words_that_a_version_does_not_know_are_left_out(project: Path, version: str, words: str) -> None:
    """An agent's word may need a version: the preflight asks for the version once, and older ones go without."""
    file = project / "config" / ".trailblazer.yaml"
    config = yaml.safe_load(file.read_text())
    config["providers"]["agents"]["alpha"] |= {
        "version": ["echo", version], "since": [{"version": "2.1.330", "words": ["--new"]}]}  # fmt: skip
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    night = Night(project)
    assert 0 == night.carry(night.record(1), "a").exit_code
    assert [words] == calls(project, "alpha")
