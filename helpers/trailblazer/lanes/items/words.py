"""What the words of a batch mean: its task, its limits, and what holds where nothing is said."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.config import load_config
from trailblazer.dispatch.engine import Limits
from trailblazer.dispatch.halting import Halts, read_rule
from trailblazer.dispatch.throttle import Throttle
from trailblazer.errors import GateClosed, PlanUnusable, WordsWrong
from trailblazer.lanes.items.lane import Task
from trailblazer.providers.agents import load_agents
from trailblazer.providers.templates import Render, compile_text, has_marks, join_marks

# What is not said, in a new batch; in a resumed one what its manifest says.
UNSAID: dict[str, Any] = {
    "command": [],
    "format": "auto",
    "provider": None,
    "template": None,
    "shell": False,
    "shuffle": False,
    "notes": "",
    "timeout": None,
    "retries": 0,
    "delay": "0",
    "max_load": None,
    "min_free_memory": None,
    "expect": None,
    "expect_schema": None,
    "fail_fast": 0,
    "halt": None,
    "preflight": None,
    "skip_preflight": False,
    "yes": False,
    "monitor_interval": 120.0,
    "results": None,
    "keep_order": False,
    "no_worker_logs": False,
    "log_cap": "64M",
    "max_workers": None,
}
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_limits(how: Mapping[str, Any]) -> Limits:
    """Return the limits that words mean; a number that makes no sense is refused (exit 2)."""
    for name, least in (("max_workers", 1), ("retries", 0), ("fail_fast", 0)):
        if how[name] < least:
            raise WordsWrong(f"--{name.replace('_', '-')} {how[name]} is too small", f"From {least}.")
    return Limits(
        how["max_workers"],
        how["retries"],
        retry_failures=True,
        halts=Halts(how["fail_fast"], read_rule(how["halt"]) if how["halt"] else None),
        throttle=Throttle(
            _amount(how["delay"], _TIMES),
            how["max_load"],
            int(_amount(how["min_free_memory"], _SIZES)) if how["min_free_memory"] else None,
        ),
    )


def _amount(text: str, units: Mapping[str, int]) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]?)", str(text).strip())
    if not found or found[2] not in units:
        raise WordsWrong(f"{text!r} is not an amount", f"A number and one of: {' '.join(filter(None, units))}.")
    return float(found[1]) * units[found[2]]


def read_task(how: Mapping[str, Any]) -> Task:
    """Return what is done with each item; a mistake in a template is told before anything runs."""
    agent = load_agents(load_config())[how["provider"]] if how["provider"] else None
    command = join_marks(how["command"])
    if agent:
        command = [*agent.words({}), *command]
        if not how["template"]:
            raise WordsWrong("an agent needs a prompt", "--template FILE, a text with {{ item }} in it.")
        if shutil.which(command[0]) is None:
            raise GateClosed(f"there is no {command[0]} on the PATH", "Install it, or choose another --provider.")
    if not command:
        raise WordsWrong(
            "there is no command", "Put it behind --: trailblazer batch run --items FILE -- ./work.sh {{ item }}"
        )
    if how["shell"]:
        words: tuple[Render, ...] = (
            *map(compile_text, ["/bin/sh", "-c"]),
            compile_text(" ".join(command), for_shell=True),
        )
    else:
        is_bare = not agent and not how["template"] and not any(map(has_marks, command))
        words = tuple(compile_text(word) for word in [*command, *(["{{ item }}"] if is_bare else [])])
    limit = str(how["timeout"] or "")
    if how["expect_schema"]:
        schemas.add("expected", Path(how["expect_schema"]).expanduser())
    return Task(
        words=words,
        prompt=compile_text(_read(how["template"])) if how["template"] else None,
        agent=agent,
        keeps_logs=not how["no_worker_logs"],
        log_cap=int(_amount(how["log_cap"], _SIZES)),
        limit_seconds=_amount(limit, _TIMES) if limit and not limit.endswith("x") else None,
        limit_medians=_amount(limit[:-1], {"": 1}) if limit.endswith("x") else None,
        expects_json=bool(how["expect"] or how["expect_schema"]),
        expected_schema="expected" if how["expect_schema"] else None,
    )


def _read(name: str) -> str:
    try:
        return Path(name).expanduser().read_text("utf-8")
    except OSError as error:
        raise PlanUnusable(f"cannot read the template {name}: {error.strerror}", "Look at that path.") from error
