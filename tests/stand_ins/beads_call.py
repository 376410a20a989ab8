"""What a call of the stand-in for bd asks for, and the faults that it has."""

from __future__ import annotations

import json
import os
import sys
import time

from stand_ins.beads_store import Store, find_folder

TYPE_CHECKING = False  # a call must be quick: the imports below take longer than its work
if TYPE_CHECKING:
    from typing import Any

WITH_VALUE = {
    "--actor", "--limit", "-n", "--status", "-s", "--assignee", "-a", "--if", "--if-assignee", "--method", "--reason",
    "--threshold", "--lease-ttl", "--label", "--priority",
}  # fmt: skip
SWITCHES = {"--json", "--claim", "--if-absent", "--force", "--help", "-h", "--version", "--all", "--unassigned", "-u"}
NOT_YET = (99, 0, 0)
SINCE = {
    **dict.fromkeys(("list", "ready", "blocked", "show", "update", "close", "version"), (0, 1, 0)),
    "find-duplicates": (0, 57, 0),
    **dict.fromkeys(("cas", "unclaim", "heartbeat", "reclaim"), (1, 3, 0)),
}
NEVER = 3600


class Refused(Exception):
    """A call that ends with an exit code other than 0; the text goes where this version says errors."""

    def __init__(self, what: str, code: int = 1) -> None:
        super().__init__(what)
        self.what, self.code = what, code


class Call:
    """One call: its words, who calls, what is asked for, and which faults it has."""

    def __init__(self, words: list[str], flags: dict[str, str], version: tuple[int, ...], store: Store) -> None:
        self.words, self.flags, self.version, self.store = words, flags, version, store
        self.faults = read_faults(store)

    @property
    def actor(self) -> str:
        """Who calls: the flag, then the environment, then the user."""
        named = self.flags.get("--actor") or os.environ.get("BEADS_ACTOR") or os.environ.get("BD_ACTOR")
        return named or os.environ.get("USER") or "unknown"

    def has(self, flag: str) -> bool:
        """Say whether a flag is there."""
        return flag in self.flags

    def limit(self, usual: int) -> int:
        """Return how many records are printed at most; 0 is all."""
        return int(self.flags.get("--limit") or self.flags.get("-n") or usual)

    def is_at(self, fault: str) -> bool:
        """Say whether this call has a fault: everywhere, or at this command."""
        return fault in self.faults and self.faults[fault] in {"", self.words[0] if self.words else ""}

    def find(self, given: str) -> dict[str, Any]:
        """Return the issue that an id or its abbreviation means."""
        gone = self.faults.get("vanished")
        ids = [one for one in self.store.ids() if one != gone]
        exact = [one for one in (given, f"bd-{given}") if one in ids]
        near = exact[:1] or [one for one in ids if given.removeprefix("bd-") in one.partition("-")[2]]
        if not near:
            raise Refused(f'no issue found matching "{given}"')
        if len(near) > 1:
            raise Refused(f'ambiguous ID "{given}" matches {len(near)} issues: {near[:5]}')
        return self.store.get(near[0])


def read_call(argv: list[str]) -> Call:
    """Return what the words of a call mean."""
    words, flags = [], {}
    waiting = list(argv)
    while waiting:
        word = waiting.pop(0)
        name, is_joined, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif name in WITH_VALUE:
            if not is_joined and not waiting:
                raise Refused(f"flag needs an argument: {name}")
            flags[name] = value if is_joined else waiting.pop(0)
        elif word in SWITCHES:
            flags[word] = ""
        else:
            raise Refused(f"unknown flag: {word}")
    folder = find_folder()
    written = (folder / "version").read_text().strip() if folder and (folder / "version").exists() else "1.3.0"
    number = os.environ.get("BD_STAND_IN_VERSION") or written
    version = tuple(int(part) for part in f"{number}.0.0".split(".")[:3])
    if words and version < SINCE.get(words[0], NOT_YET):
        raise Refused(f'unknown command "{words[0]}" for "bd"')
    if "--help" not in flags and words and folder is None:
        raise Refused("no beads database found\nHint: run 'bd init' to create a database in the current directory")
    call = Call(words, flags, version, Store(folder))
    call.store.note(argv, call.actor)
    return call


def read_faults(store: Store) -> dict[str, str]:
    """Return the faults by name."""
    written = os.environ.get("BD_STAND_IN_FAULTS", "").split()
    file = store.folder / "faults" if store.folder else None
    written += file.read_text().splitlines() if file and file.exists() else []
    return {name: value for name, _, value in (one.partition("=") for one in written if one)}


def misbehave(call: Call) -> int | None:
    """Do what a fault of this call says, and return the exit code; None when there is no fault."""
    if call.is_at("hang"):
        time.sleep(NEVER)
    if call.is_at("no_json"):
        print("Everything is fine.")
        return 0
    if call.is_at("error_with_0") or call.is_at("fail"):
        print("Error: database is locked", file=sys.stderr)
        return 1 if call.is_at("fail") else 0
    if call.is_at("deep"):
        print("[" * 100_000 + "]" * 100_000)
        return 0
    if call.is_at("huge"):
        for _ in range(70):
            sys.stdout.write("[" + " " * ((1 << 20) - 1))
        return 0
    return None


def print_json(call: Call, value: Any, *, is_list: bool = True) -> None:
    """Print a value as this version and its faults do."""
    if call.version >= (1, 0, 0) and os.environ.get("BD_JSON_ENVELOPE") == "1":
        value = {"schema_version": 1, "data": value}
    elif call.version >= (1, 0, 0):
        print("Notice: the JSON envelope will be the default in v2.0 (BD_JSON_ENVELOPE=1)", file=sys.stderr)
    if is_list and "lists_in" in call.faults:
        value = {call.faults["lists_in"]: value}
    if "warns" in call.faults:
        print("Warning: the daemon is [not] running {yet}")
    print(json.dumps(value, indent=2))
