"""Show what applies in this folder and where each value came from.

trailblazer config show"""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add `show` and its flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print every key, its value and its origin")
    show.add_argument("--json", action="store_true", help="the same as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Print the configuration to stdout; passwords in addresses are left out."""
    import json

    from trailblazer.config import load_config
    from trailblazer.reports.answers import print_document

    config = load_config()
    shown = {
        key: {"value": _shown(key, setting.value), "origin": setting.origin} for key, setting in config.settings.items()
    }
    if words.json:
        print_document("config_shown", shown)
        return 0
    for key, entry in shown.items():
        print(f"{key:<34} {json.dumps(entry['value']):<44} {entry['origin']}")
    return 0


def _shown(key: str, value: object) -> object:
    """Return a value as people may see it: of one that may hold a password, only what is no secret."""
    from trailblazer.config import is_secret

    if not is_secret(key) or not value:
        return value
    if key != "db.url" or not isinstance(value, str):
        return ["***" for _ in value] if isinstance(value, list) else "***"
    from trailblazer.database.driver import shown_dsn

    return shown_dsn(value)
