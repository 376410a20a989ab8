"""Puts a lane together by the configuration and what was asked for: providers, gates, working folders."""

from __future__ import annotations

from dataclasses import replace

from trailblazer.config import Config
from trailblazer.errors import ServiceDown
from trailblazer.lanes.issues.conflicts import ConflictLocks
from trailblazer.lanes.issues.earlier import Claims
from trailblazer.lanes.issues.lane import IssuesLane, Means
from trailblazer.lanes.issues.questions import read_question
from trailblazer.lanes.issues.request import IssuesRequest
from trailblazer.lanes.issues.rules import IssueRules
from trailblazer.lanes.issues.tracker import Tracker
from trailblazer.lanes.issues.trees import Checkouts, OwnTrees, Trees
from trailblazer.lanes.issues.worktree import Worktrees
from trailblazer.lanes.orders import Orders, TimeLimit
from trailblazer.lanes.spending import read_rules
from trailblazer.providers.agents import runner_agent
from trailblazer.providers.chain import choose_chain, find_providers, load_providers
from trailblazer.providers.command import Command, Expectation
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.order import Evidence
from trailblazer.providers.seats import Seat
from trailblazer.providers.templates import Render

LOG_CAP = 64 << 20


def read_lineup(config: Config, request: IssuesRequest, prompt: Render) -> Lineup:
    """Return the providers of a night: those that were named, else the chain. An unknown one is WordsWrong."""
    known = load_providers(config)
    names = tuple(request.provider.split(",")) if request.provider else choose_chain(config, known)
    command = Command(
        words=(),
        prompt=prompt,
        agent=None,
        model=request.model,
        log_cap=LOG_CAP,
        expects=Expectation(evidence=Evidence(request.expect)),
        idle_seconds=60 * request.idle_minutes,
        grace_seconds=config["providers.grace_seconds"],
        is_left=not request.wait,
    )
    chosen = find_providers(dict.fromkeys(names), known)
    commands = {one.name: replace(command, agent=one.agent or runner_agent(config, one.name)) for one in chosen}
    seats = [Seat(one, commands[one.name], request.model) for one in chosen]
    if not seats:
        raise ServiceDown("no provider is installed", NO_PROVIDER)
    return Lineup(seats, read_rules(request, config, request.max_parallel))


NO_PROVIDER = "Install claude, codex, opencode or gemini, or set providers.chain."


def make_lane(
    config: Config,
    request: IssuesRequest,
    tracker: Tracker,
    claims: Claims,
    rules: IssueRules,
    lineup: Lineup,
    *,
    settles_only: bool = False,
) -> IssuesLane:
    """Return the lane of a night. With `settles_only` it begins nothing, and asks no provider."""
    means = Means(
        tracker=tracker,
        claims=claims,
        lineup=lineup,
        orders=Orders(lineup, TimeLimit(60 * request.timeout_minutes)),
        trees=_trees(config, request, rules),
        has_open_change=read_question(config, "gates.has_open_change"),
        open_changes=read_question(config, "gates.open_changes"),
        max_open=config["gates.max_open"],
        root=config.places.root,
        conflicts=ConflictLocks(config.places.var / "nightly" / "conflicts"),
    )
    return IssuesLane(means, rules.repos.folders, settles_only=settles_only)


def _trees(config: Config, request: IssuesRequest, rules: IssueRules) -> Trees:
    if not request.worktree:
        return Checkouts(rules.repos.folders)
    setup, seconds = config["nightly.setup"], 60 * config["nightly.setup_minutes"]
    folder = config.places.var / "worktrees"
    return OwnTrees(
        {
            name: Worktrees(repo, folder / name, setup, setup_seconds=seconds)
            for name, repo in rules.repos.folders.items()
        }
    )
