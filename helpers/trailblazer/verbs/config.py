"""Show the configuration of this folder, and the origin of each value."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add `show` and its flags."""
    parser.add_argument("action", choices=["show"], help="print every key, its value and its origin")
    parser.add_argument("--json", action="store_true", help="the same as one JSON object")


def run(words: argparse.Namespace) -> int:
    """Print the configuration to stdout, without the passwords in addresses."""
    import json

    from trailblazer.config import load_config

    config = load_config()
    shown = {
        key: {"value": _without_passwords(setting.value), "origin": setting.origin}
        for key, setting in config.settings.items()
    }
    if words.json:
        print(json.dumps(shown, indent=2))
        return 0
    for key, entry in shown.items():
        print(f"{key:<34} {json.dumps(entry['value']):<44} {entry['origin']}")
    return 0


def _without_passwords(value: object) -> object:
    """Return a value without the passwords of an address or a DSN; when in doubt too much is hidden."""
    import re

    if not isinstance(value, str):
        return value
    value = re.sub(r"(://[^/?#\s:@]*:)\S*@", r"\1***@", value)
    return re.sub(r"(?i)(password\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&]+)", r"\1***", value)
