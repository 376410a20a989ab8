"""Which provider does the work: the first of a chain that is available (N4)."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong, ServiceDown, WordsWrong
from trailblazer.plain import one_line
from trailblazer.providers.agents import RUNNER, load_agents, read_entries, shipped_entries
from trailblazer.providers.preflight import COMMAND, Health, Provider

MOST_AT_ONCE = 4
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Choice:
    """The provider that was chosen, why it is not the first of the chain (empty when it is), and those refused."""

    provider: str
    fallback_reason: str
    refused: tuple[Health, ...]

    @property
    def line(self) -> str:
        """The line that says why the first of the chain is not used; empty when it is."""
        return f"fallback ({self.fallback_reason})" if self.fallback_reason else ""


def load_providers(config: Config) -> dict[str, Provider]:
    """Return every provider by its name: the agents, those of the runners, those of the chain, and `command`.

    A name in the chain that nothing is known of is refused with ConfigWrong (exit 3).
    """
    agents, found = load_agents(config), dict[str, Provider]()
    runners: dict[str, Provider] = {}
    for name, entry in read_entries(config).items():
        if entry.get("kind") == RUNNER:
            runners[name] = Provider(name, RUNNER, entry["preflight"]["command"][0], entry)
            found |= {one: _of_runner(runners[name], one) for one in _names(name, entry["providers"])}
        else:
            found[name] = Provider(name, "agent", entry["command"][0], entry, agents[name])
    found[COMMAND] = Provider(COMMAND, COMMAND)
    for name in config["providers.chain"] or ():
        runner = name.partition(":")[0]
        if name not in found and ":" in name and runner in runners:
            found[name] = _of_runner(runners[runner], name)
        elif name not in found:
            origin = config.settings["providers.chain"].origin
            raise ConfigWrong(f"{origin}: providers.chain: {name} is no provider", _nearest(name, found))
    return found


def _of_runner(runner: Provider, name: str) -> Provider:
    return Provider(name, RUNNER, runner.program, runner.entry)


def _names(runner: str, providers: Iterable[str]) -> list[str]:
    return [f"{runner}:{provider}" for provider in providers]


def choose_chain(config: Config, providers: Mapping[str, Provider]) -> tuple[str, ...]:
    """Return the names of the configured chain, else of the default one.

    The default: the providers of dx-runner where it is installed, else the shipped agents that are installed.
    """
    if config["providers.chain"] is not None:
        return tuple(config["providers.chain"])
    shipped = shipped_entries()
    runners = [name for one, entry in shipped.items() for name in _names(one, entry.get("providers", ()))]
    installed = [name for name in runners if name in providers and providers[name].is_installed]
    return tuple(installed or [name for name in shipped if name in providers and providers[name].is_installed])


def find_providers(names: Iterable[str], providers: Mapping[str, Provider]) -> list[Provider]:
    """Return the providers of these names; an unknown name is refused with WordsWrong (exit 2) and the nearest."""
    found = []
    for name in names:
        if name not in providers:
            raise WordsWrong(f"{one_line(name, 60)!r} is no provider", _nearest(name, providers))
        found.append(providers[name])
    return found


def _nearest(name: str, providers: Mapping[str, Provider]) -> str:
    near = difflib.get_close_matches(name, list(providers), n=1)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(providers)}"


def choose_provider(chain: Sequence[str], check: Callable[[str], Health]) -> Choice:
    """Return the first available provider of a chain; those behind it are not checked.

    When none is available this raises ServiceDown (exit 8), which says why for each.
    """
    refused: list[Health] = []
    for name in dict.fromkeys(chain):
        health = check(name)
        if health.is_available:
            reason = f"{refused[0].name} unavailable: {refused[0].reason}" if refused else ""
            return Choice(name, reason, tuple(refused))
        refused.append(health)
    if not refused:
        raise ServiceDown(
            "no provider is installed", "Install claude, codex, opencode or gemini, or set providers.chain."
        )
    raise ServiceDown(
        f"no provider is available: {', '.join(health.name for health in refused)}",
        "\n".join(f"{health.name}: {health.reason}" for health in refused),
    )


def check_together(
    providers: Sequence[Provider], check: Callable[[Provider, threading.Event], Found]
) -> dict[str, Found]:
    """Return what a check finds of each provider by name, in their order, at most MOST_AT_ONCE at a time.

    An interrupt sets the event that every check gets, so that each ends at once.
    """
    over = threading.Event()
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        try:
            waiting = {provider.name: pool.submit(check, provider, over) for provider in providers}
            return {name: future.result() for name, future in waiting.items()}
        except BaseException:
            over.set()
            raise
