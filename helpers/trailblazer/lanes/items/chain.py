"""Who runs the items of a batch: a command, an agent, or a chain of agents, within a budget."""

from __future__ import annotations

from dataclasses import replace

from trailblazer.config import Config
from trailblazer.errors import ServiceDown, WordsWrong
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.items.words import read_command
from trailblazer.providers.breaker import Pauses
from trailblazer.providers.budget import Budget, Cap
from trailblazer.providers.chain import choose_chain, load_providers
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.preflight import COMMAND, Provider
from trailblazer.providers.seats import OnQuota, Rules, Seat

DEFAULT_AGENT = "claude"
CHAIN = "chain"  # --provider chain: as providers.chain says


def read_lineup(request: ItemsRequest, config: Config, slots: int) -> Lineup:
    """Return the providers of a batch; an unknown one, and one that runs no items, is WordsWrong."""
    providers = _providers(request, config)
    agents = [provider.agent for provider in providers if provider.agent is not None]
    command = read_command(request, agents, config)
    seats = [Seat(provider, replace(command, agent=provider.agent), request.model) for provider in providers]
    return Lineup(seats or [Seat(Provider(COMMAND, COMMAND), command)], read_rules(request, config, slots))


def _providers(request: ItemsRequest, config: Config) -> list[Provider]:
    has_prompt = bool(request.prompt or request.template)
    word = request.provider or (DEFAULT_AGENT if has_prompt and not request.command else "")
    if not word:
        return []
    known = load_providers(config)
    names = choose_chain(config, known) if word == CHAIN else tuple(dict.fromkeys(word.split(",")))
    agents = {name: provider for name, provider in known.items() if provider.agent is not None}
    if word == CHAIN:
        names = tuple(name for name in names if name in agents)
    if not names:
        raise ServiceDown(
            "no provider of the chain can run items", f"Set providers.chain. There are: {', '.join(agents)}."
        )
    for name in names:
        if name not in agents:
            raise WordsWrong(f"there is no provider {name}", f"There are: {', '.join(sorted(agents))}.")
    return [agents[name] for name in names]


def read_rules(request: ItemsRequest, config: Config, slots: int) -> Rules:
    """Return how the providers are used: words come before the configuration."""
    return Rules(
        on_quota=OnQuota.WAIT if request.wait_for_quota else OnQuota(config["providers.on_quota"]),
        pauses=Pauses(
            refused=60 * config["providers.reopen_minutes"],
            quota=60 * config["providers.quota_wait_minutes"],
            unreachable_after=config["providers.unreachable_after"],
        ),
        budget=read_budget(request, config),
        slots=slots,
    )


def read_budget(request: ItemsRequest, config: Config) -> Budget:
    """Return the caps; a cap below 0 is WordsWrong."""

    def most(name: str) -> float | None:
        said: float | None = getattr(request, name)
        if said is not None and not said >= 0:
            raise WordsWrong(f"--{name.replace('_', '-')} {said} is out of range", "A number from 0 on.")
        return config[f"budget.{name}"] if said is None else said

    return Budget(
        Cap(most("max_cost_usd"), most("max_tokens")),
        Cap(config["budget.provider_max_cost_usd"], config["budget.provider_max_tokens"]),
        most("item_max_cost_usd"),
    )
