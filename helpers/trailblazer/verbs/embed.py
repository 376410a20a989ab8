"""Embedding, one run at a time or planned: each action works alone, as the dispatcher uses it.

trailblazer embed preflight run=RID            0 ready, 5 blocked: the reasons
trailblazer embed plan-preflight               0 some run is ready, 5 none is
trailblazer embed manifest run=RID             what vectors would be made from
trailblazer embed diff run=RID                 0 nothing changed, 6 something
trailblazer embed reembed-if-changed run=RID   0 done, or nothing had changed
trailblazer embed run run=RID                  0 embedded"""

from __future__ import annotations

import argparse

ACTIONS = {
    "preflight": "ask what is free to ask about a run; write preflight.json",
    "plan-preflight": "preflight all runs or those of a plan; write a bundle",
    "manifest": "fingerprint what goes into a run's vectors",
    "diff": "say what changed since a run was embedded, and why",
    "reembed-if-changed": "embed what changed, and nothing else",
    "run": "embed a run anew",
}


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary in ACTIONS.items():
        action = actions.add_parser(name, help=summary)
        if name == "plan-preflight":
            action.add_argument("plan", nargs="?", help="a list of run ids; without it, all runs")
        else:
            action.add_argument("--run", required=True, metavar="RID", help="the run")
        if name == "reembed-if-changed":
            action.add_argument("--force", action="store_true", help="embed all the same")
        add_embedder_words(action)
        action.add_argument("--json", action="store_true", help="the answer as one JSON object")


def add_embedder_words(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the words that choose the embedder, the same in every verb."""
    parser.add_argument("--provider", metavar="EMBEDDER", help="local, minilm or openai")
    parser.add_argument("--model", help="the provider's model")
    parser.add_argument("--dimension", type=int, metavar="N", help="numbers in a vector")


def embedder_flags(words: argparse.Namespace) -> dict[str, object]:
    """Return what those words set, by the keys of the configuration."""
    names = ("provider", "model", "dimension")
    return {f"embed.{name}": value for name in names if (value := getattr(words, name)) is not None}


def run(words: argparse.Namespace) -> int:
    """Do the action and return its exit code."""
    from trailblazer.lanes.embed import single_runs

    flags = embedder_flags(words)
    if words.action == "plan-preflight":
        return single_runs.plan_preflight(flags, words.plan, verbose=words.verbose, as_json=words.json)
    if words.action == "preflight":
        return single_runs.preflight(flags, words.run, as_json=words.json)
    if words.action == "manifest":
        return single_runs.manifest(flags, words.run)
    if words.action == "diff":
        return single_runs.diff(flags, words.run, as_json=words.json)
    only_changed = words.action == "reembed-if-changed" and not words.force
    return single_runs.embed(flags, words.run, only_changed=only_changed, as_json=words.json)
