"""Who runs the items of a batch: a command, an agent, or a chain of agents, within a budget."""

from __future__ import annotations

from dataclasses import replace

from trailblazer.config import Config
from trailblazer.errors import WordsWrong
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.items.words import read_command
from trailblazer.lanes.spending import read_rules
from trailblazer.providers.chain import choose_chain, load_providers
from trailblazer.providers.lineup import Lineup
from trailblazer.providers.preflight import COMMAND, Provider
from trailblazer.providers.seats import Seat

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
        raise WordsWrong("no provider of the chain runs items", f"There are: {', '.join(sorted(agents))}.")
    for name in names:
        if name not in agents:
            raise WordsWrong(f"there is no provider {name}", f"There are: {', '.join(sorted(agents))}.")
    return [agents[name] for name in names]
