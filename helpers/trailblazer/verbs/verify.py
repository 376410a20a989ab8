"""Prove that a sealed dispatch folder is unchanged: no file changed, added or removed, and the counts add up.

  trailblazer verify
  trailblazer verify latest json

The exit code is 0 when nothing is broken, and 6 when anything is. `sha256sum -c SHA256SUMS` in the folder
proves the bytes without trailblazer."""

from __future__ import annotations

import argparse


def add_words(parser: argparse.ArgumentParser) -> None:
    """Add the dispatch and its flags."""
    parser.add_argument(
        "dispatch", nargs="?", default="latest", help="a DISPATCH_TS, its folder, or latest (the default)"
    )
    parser.add_argument(
        "--seal", metavar="SHA256", help="compare with this seal from the screen, not with the database"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(words: argparse.Namespace) -> int:
    """Print what was proved, what cannot be proved, and every finding."""
    import dataclasses

    from trailblazer.config import load_config
    from trailblazer.errors import ProofBroken
    from trailblazer.plain import one_line
    from trailblazer.record.folder import find_folder
    from trailblazer.record.seals import kept_seal
    from trailblazer.record.verification import verify_folder
    from trailblazer.reports.answers import print_document

    config = load_config()
    folder = find_folder(config.places, words.dispatch)
    seal, whence = (words.seal, "the command line") if words.seal else kept_seal(config, folder.name)
    verdict = verify_folder(folder, seal, whence)
    if words.json:
        print_document("verification", {"folder": str(folder), **dataclasses.asdict(verdict)})
    else:
        print(f"dispatch {folder.name}:")
        for line in verdict.proved:
            print(f"proved: {one_line(line, 2000)}")
        for line in verdict.unproved:
            print(f"not proved: {one_line(line, 2000)}")
        for line in verdict.findings:
            print(f"BROKEN: {one_line(line, 2000)}")
    return ProofBroken.exit_code if verdict.findings else 0
