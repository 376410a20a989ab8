"""A night over a tracker of 1,900 issues, with two of three providers down and a quota that runs out half way.

Run as `python benchmarks/night.py [ISSUES]`. Tracker and agents are the stand-ins of the tests; all else is real. What
the agents noted is held against what trailblazer says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests"))

from lanes.issues.nights import agent_entry  # noqa: E402 - the tests must be on the path
from stand_ins.make_tracker import make_tracker  # noqa: E402

PROGRAM = str(Path(sys.executable).with_name("trailblazer"))
SEED = 7
RESET_SECONDS = 60  # the shortest wait that is believed


def main(count: int = 1_900) -> None:
    """Carry the night out, and print what it came to."""
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        folder = Path(name)
        print("The tracker:", json.dumps(vars(make_tracker(count, SEED, folder))))
        environment = _prepare(folder, count)
        began = time.monotonic()
        night = subprocess.run(
            [PROGRAM, "nightly", f"max-dispatch={count}"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        print(night.stderr[-3000:])
        print(f"exit {night.returncode} after {time.monotonic() - began:.0f} s")
        _report(folder, night.stdout, environment)


def _prepare(folder: Path, count: int) -> dict[str, str]:
    """Write the configuration and what the agents do; return the environment."""
    for name in ("config", "prompts", "site", "api", "tools"):
        (folder / name).mkdir()
    (folder / "prompts" / "100_fix_issue.md").write_bytes((CHECKOUT / "prompts" / "100_fix_issue.md").read_bytes())
    missing = {**agent_entry("missing"), "command": ["no-such-agent"]}
    settings = {
        "providers": {
            "chain": ["missing", "refused", "works"],
            "agents": {"missing": missing, "refused": agent_entry("refused"), "works": agent_entry("works")},
            "on_quota": "wait",
        },
        "tracker": {"command": [str(CHECKOUT / "tests" / "stand_ins" / "bd")]},
        "nightly": {
            "expect": "answer",
            "max_parallel": 3,
            "repos": {name: name for name in ("site", "api", "tools")},
            "exclude_labels": ["parked"],
        },
    }
    (folder / "config" / ".trailblazer.yaml").write_text(yaml.safe_dump(settings))
    script = {"refused:*": {"kind": "auth"}, "works:*": {"most": count // 4, "reset": RESET_SECONDS}}
    (folder / "script.json").write_text(json.dumps(script))
    (folder / "runs").touch()
    known = {name: value for name, value in os.environ.items() if not name.startswith("TRAILBLAZER_")}
    return known | {
        "AGENT_FOLDER": str(folder),
        "BEADS_DIR": str(folder / ".beads"),
        "BD_STAND_IN_VERSION": "1.3.0",
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _report(folder: Path, out: str, environment: dict[str, str]) -> None:
    noted = [json.loads(line) for line in (folder / "ran.ndjson").read_text().splitlines()]
    ended = Counter(line["issue"] for line in noted if line["what"] == "end" and line["agent"] == "works")
    began = Counter(line["agent"] for line in noted if line["what"] == "begin")
    (dispatch,) = (folder / "var" / "logs" / "dispatch").glob("2*")
    summary = json.loads((dispatch / "summary.json").read_text())
    refused = Counter(json.loads(line)["gate"] for line in (dispatch / "not_taken.ndjson").read_text().splitlines())
    bd = [str(CHECKOUT / "tests" / "stand_ins" / "bd"), "list", "--all", "--limit", "0", "--json"]
    listed = json.loads(subprocess.run(bd, env=environment, capture_output=True, text=True, check=True).stdout)
    ours = {issue["id"] for issue in listed if str(issue.get("assignee")).startswith("trailblazer@")}
    good = {line.split("beads=")[1].split()[0] for line in out.splitlines() if line.startswith("DISPATCH_SUCCESS")}
    again = sum(1 for line in _journal(dispatch) if line["kind"] == "again")
    waited = [line for line in _journal(dispatch) if line["kind"] == "switch" and line["to"] in {"waiting", "waited"}]
    rows = {
        "issues that could be taken": summary["counts"]["planned"],
        "done": len(good),
        "refused by gate": dict(refused),
        "attempts by provider": dict(began),
        "fallbacks": sum(one["fallbacks"] for one in summary["providers"]),
        "put back without an attempt spent": again,
        "waits for the quota": sum(line["to"] == "waiting" for line in waited),
        "cost, US$": round(sum(one["costUSD"] for one in summary["providers"]), 2),
        "claimed and did not run": len(ours - set(ended)),
        "done and not claimed any more": len(good - ours),
        "run twice although good": sum(1 for issue, count in ended.items() if count > 1 and issue in good)
        - sum(
            1
            for line in _journal(dispatch)
            if line["kind"] == "again" and line["item"] in good and ended[line["item"]] > 1
        ),
    }
    for name, value in rows.items():
        print(f"{name:<36} {value}")


def _journal(dispatch: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (dispatch / "journal.ndjson").read_text().splitlines()]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
