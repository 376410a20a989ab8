"""Prove that a sealed dispatch folder is what was sealed: nothing changed, added or removed, and the counts add up.

Exit code 0 when all holds, 6 when anything does not. `sha256sum -c SHA256SUMS` in the folder proves the bytes
without us."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the dispatch and its flags."""
    parser.add_argument("dispatch", nargs="?", default="latest", help="a DISPATCH_TS, a folder, or: latest (default)")
    parser.add_argument("--seal", metavar="SHA256", help="the seal that was on the screen, instead of the database's")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")


def run(words: argparse.Namespace) -> int:
    """Print what was proved and every finding."""
    import json

    from trailblazer.config import load_config
    from trailblazer.errors import ProofBroken
    from trailblazer.record.folder import find_folder
    from trailblazer.record.verification import kept_seal, verify_folder

    config = load_config()
    folder = find_folder(config.places, words.dispatch)
    seal, whence = (words.seal, "the command line") if words.seal else kept_seal(config, folder.name)
    verdict = verify_folder(folder, seal, whence)
    if words.json:
        print(json.dumps({"folder": str(folder), "proved": verdict.proved, "findings": verdict.findings}, indent=2))
    else:
        for line in verdict.proved:
            print(f"proved: {line}")
        for line in verdict.unproved:
            print(f"not proved: {line}")
        for line in verdict.findings:
            print(f"BROKEN: {line}")
    return ProofBroken.exit_code if verdict.findings else 0
