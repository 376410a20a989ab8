"""Say which providers there are, and which of them can work now.

  trailblazer providers list                  asks nobody
  trailblazer providers check                 every provider, and who would work
  trailblazer providers check claude codex    these two, in place of the chain
  trailblazer providers check opencode --model anthropic/claude-sonnet-5 --paid

A check is free: is the program installed, is it logged in, does it know the
model. It takes at most 30 s. With --paid each model answers one question."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trailblazer.providers.preflight import Health, Provider


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the two actions and their words."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    list_ = actions.add_parser("list", help="the providers: kind, version, whether installed")
    list_.add_argument("--json", action="store_true", help="the same as one JSON object")
    check = actions.add_parser("check", help="ask each provider; exit 8 when none of the chain can work")
    check.add_argument("names", nargs="*", metavar="NAME", help="only these, in the place of the chain")
    check.add_argument("--model", metavar="M", help="the model that is wanted")
    check.add_argument("--paid", action="store_true", help="let the model answer; costs a little")
    check.add_argument("--json", action="store_true", help="the same as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Print the providers, or how they are, to stdout; check exits with 8 when none of the chain is available."""
    from trailblazer.config import load_config
    from trailblazer.providers.chain import choose_chain, find_providers, load_providers

    config = load_config()
    providers = load_providers(config)
    if words.action == "list":
        return _list(list(providers.values()), words.json)
    chosen = find_providers(dict.fromkeys(words.names or providers), providers)
    return _check(chosen, tuple(words.names) or choose_chain(config, providers), words)


def _list(providers: Sequence[Provider], as_json: bool) -> int:
    from trailblazer.providers.chain import check_together
    from trailblazer.providers.preflight import read_version
    from trailblazer.reports.answers import print_document

    found = check_together(providers, read_version)
    if as_json:
        shown = [
            {"name": one.name, "kind": one.kind, "installed": one.is_installed, "version": found[one.name]}
            for one in providers
        ]
        print_document("providers_listed", {"providers": shown})
        return 0
    for one in providers:
        state = found[one.name] or ("installed" if one.is_installed else "not installed")
        print(f"{one.name:<20} {one.kind:<10} {'always there' if not one.program else state}")
    return 0


def _check(providers: Sequence[Provider], chain: Sequence[str], words: argparse.Namespace) -> int:
    from trailblazer.errors import ServiceDown
    from trailblazer.events import Console
    from trailblazer.plain import plain
    from trailblazer.providers.chain import check_together, choose_provider
    from trailblazer.providers.preflight import check_provider

    log: Callable[[str], None] = Console().say if words.verbose else lambda _line: None
    found = check_together(
        providers,
        lambda provider, over: check_provider(provider, model=words.model, paid=words.paid, log=log, over=over),
    )
    if not words.json:
        for health in found.values():
            print(plain(_line(health)))
    try:
        choice = choose_provider(chain, found.__getitem__)
    except ServiceDown:
        _print_json(found, chain, words.json)
        raise
    _print_json(found, chain, words.json, choice.provider, choice.line)
    Console().say(f"{choice.provider} would work" + (f": {choice.line}" if choice.line else ""))
    return 0


def _print_json(
    found: dict[str, Health], chain: Sequence[str], as_json: bool, chosen: str | None = None, fallback: str = ""
) -> None:
    from trailblazer.reports.answers import print_document

    if as_json:
        shown = [health.document() for health in found.values()]
        document = {"providers": shown, "chain": list(chain), "chosen": chosen, "fallback": fallback or None}
        print_document("providers_checked", document)


def _line(health: Health) -> str:
    """Return one line that says how a provider is, and what was found out about it."""
    import time

    known = [f"version {health.version}"] if health.version else []
    known += [f"model {health.model}"] if health.model else []
    if health.quota is not None:
        until = health.quota.resets_at
        named = time.strftime(" until %a %H:%M", time.localtime(until)) if until else ""
        known.append(f"{health.quota.left_percent:.0f} % of its quota is left{named}")
    state = "available" if health.is_available else f"not available: {health.reason}"
    return f"{health.name}: {state} ({', '.join([*known, f'{health.seconds:.1f} s'])})"
