"""Puts a lane together by the configuration and what was asked for: tracker, provider, gates, working folders."""

from __future__ import annotations

from collections.abc import Callable

from trailblazer.config import Config
from trailblazer.lanes.issues.conflicts import ConflictLocks
from trailblazer.lanes.issues.earlier import Claims
from trailblazer.lanes.issues.lane import IssuesLane, Means
from trailblazer.lanes.issues.questions import read_question
from trailblazer.lanes.issues.request import IssuesRequest
from trailblazer.lanes.issues.rules import Rules
from trailblazer.lanes.issues.tracker import Tracker
from trailblazer.lanes.issues.trees import Checkouts
from trailblazer.lanes.orders import Orders, TimeLimit
from trailblazer.providers import chain
from trailblazer.providers.chain import Choice
from trailblazer.providers.command import Command, Expectation
from trailblazer.providers.order import Evidence
from trailblazer.providers.preflight import check_provider
from trailblazer.providers.templates import Render

LOG_CAP = 64 << 20


def choose_provider(config: Config, request: IssuesRequest, log: Callable[[str], None]) -> Choice:
    """Return the first provider of the chain that can work; without any this raises ServiceDown (exit 8)."""
    providers = chain.load_providers(config)
    named = tuple(name.strip() for name in request.provider.split(",")) if request.provider else ()
    known = {provider.name: provider for provider in chain.find_providers(named or providers, providers)}
    names = named or chain.choose_chain(config, providers)
    return chain.choose_provider(names, lambda name: check_provider(known[name], model=request.model, log=log))


def make_lane(
    config: Config, request: IssuesRequest, tracker: Tracker, claims: Claims, rules: Rules, prompt: Render, name: str
) -> IssuesLane:
    """Return the lane of a night in which the provider of that name works."""
    provider = Command(
        words=(),
        prompt=prompt,
        agent=chain.load_providers(config)[name].agent,
        model=request.model,
        log_cap=LOG_CAP,
        expects=Expectation(evidence=Evidence(request.expect)),
        idle_seconds=60 * request.idle_minutes,
    )
    means = Means(
        tracker=tracker,
        claims=claims,
        orders=Orders(provider, TimeLimit(60 * request.timeout_minutes)),
        trees=Checkouts(rules.repos.folders),
        has_open_change=read_question(config, "gates.has_open_change"),
        open_changes=read_question(config, "gates.open_changes"),
        max_open=config["gates.max_open"],
        conflicts=ConflictLocks(config.places.var / "nightly" / "conflicts"),
    )
    return IssuesLane(means, rules.repos.folders, name)
