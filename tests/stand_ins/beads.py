"""A stand-in for bd (beads) in the versions 0.49, 0.57 and 1.3.0, as its documents and source describe them.

BD_STAND_IN_VERSION, or a file `version` in the .beads folder, says which version it is. The issues are in
`.beads/stand_in.db`; each call adds a line to `.beads/calls`. Faults stand in BD_STAND_IN_FAULTS (with spaces between
them), or in a file `faults` (one a line):

    hang[=COMMAND] no_json[=COMMAND] error_with_0[=COMMAND] fail[=COMMAND] deep[=COMMAND] huge[=COMMAND]
    locked_after_claim    the claim is made, and bd fails all the same
    hang_after_claim      the claim is made, and bd does not come back
    two_winners=NAME      after a claim NAME has the issue
    vanished=ID           ID is listed, and nothing else finds it
    vanishes_in_claim=ID  ID is deleted by its claim
    says_when             `already claimed by NAME at TIME`
    no_conditional_writes the store of `cas` cannot do it
    lists_in=NAME         lists are {NAME: [...]}
    warns                 a warning stands before the JSON on stdout
    pause=SECONDS         at most, between reading and writing of a claim up to 0.56 (0.02)
"""

from __future__ import annotations

import os
import sys
import time

from stand_ins.beads_call import NEVER, Call, Refused, misbehave, print_json, read_call

TYPE_CHECKING = False  # a call must be quick: the imports below take longer than its work
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LEASE_SECONDS = 300


def main(argv: list[str]) -> int:
    """Carry one call out and return its exit code."""
    try:
        call = read_call(argv)
    except Refused as refusal:
        print(f"Error: {refusal.what}", file=sys.stderr)
        return refusal.code
    if call.has("--version") or call.words == ["version"]:
        number = ".".join(map(str, call.version))
        print(f"bd version {number} (stand-in: main@0123abcd)")
        return 0
    if call.has("--help") or call.has("-h"):
        return print_help(call)
    if (code := misbehave(call)) is not None:
        return code
    try:
        return COMMANDS[call.words[0]](call)
    except Refused as refusal:
        return say_error(call, refusal)


def print_help(call: Call) -> int:
    """Print the help of a command."""
    usage = " ".join(["bd", *call.words])
    more = {
        "cas": "      --if-absent   set only if the key is currently absent\n",
        "find-duplicates": "      --method\n",
    }
    print(f"Usage:\n  {usage} [flags]\n\nFlags:\n{more.get(call.words[0] if call.words else '', '')}      --json")
    return 0


def say_error(call: Call, refusal: Refused) -> int:
    """Print an error as this version does."""
    if call.version >= (0, 57, 0) and call.has("--json"):
        print_json(call, {"error": refusal.what, "schema_version": 1}, is_list=False)
    else:
        print(f"Error: {refusal.what}", file=sys.stderr)
    return refusal.code


def run_list(call: Call) -> int:
    """Print the issues that are not closed, or those of some states; 50 unless told."""
    wanted = call.flags.get("--status") or call.flags.get("-s")
    states = set(wanted.split(",")) if wanted else set()
    found = [
        issue
        for issue in call.store.all()
        if (issue["status"] in states if states else call.has("--all") or issue["status"] != "closed")
    ]
    limit = call.limit(50)
    print_json(call, [as_listed(call, issue) for issue in (found[:limit] if limit else found)])
    return 0


def as_listed(call: Call, issue: dict[str, Any]) -> dict[str, Any]:
    """Return an issue as a list has it: old versions count dependencies, newer ones name them."""
    edges = [{"issue_id": issue["id"], "depends_on_id": one, "type": "blocks"} for one in issue["dependencies"]]
    known = {"dependencies": edges} if edges and call.version >= (0, 57, 0) else {}
    listed = {key: value for key, value in issue.items() if key != "dependencies" and value not in (None, "", [], {})}
    return {**listed, **known, "dependency_count": len(edges), "dependent_count": 0}


def open_blockers(call: Call) -> dict[str, list[str]]:
    """Return what blocks each issue that is not closed."""
    found = call.store.all()
    active = {issue["id"] for issue in found if issue["status"] != "closed"}
    return {issue["id"]: [one for one in issue["dependencies"] if one in active] for issue in found}


def run_ready(call: Call) -> int:
    """Print what is open and not blocked; before 1.0 also what is in progress."""
    blockers = open_blockers(call)
    states = {"open"} if call.version >= (1, 0, 0) else {"open", "in_progress"}
    found = [issue for issue in call.store.all() if issue["status"] in states and not blockers[issue["id"]]]
    limit = call.limit(100 if call.version >= (1, 0, 0) else 10)
    print_json(call, [as_listed(call, issue) for issue in (found[:limit] if limit else found)])
    return 0


def run_blocked(call: Call) -> int:
    """Print what is blocked, and by what."""
    blockers = open_blockers(call)
    found = [issue for issue in call.store.all() if issue["status"] != "closed" and blockers[issue["id"]]]
    print_json(call, [{**as_listed(call, one), "blocked_by": blockers[one["id"]]} for one in found])
    return 0


def run_show(call: Call) -> int:
    """Print an issue with its dependencies as whole issues."""
    try:
        issue = call.find(call.words[1] if len(call.words) > 1 else "")
    except Refused as refusal:
        print(f"Error fetching {call.words[1]}: {refusal.what}", file=sys.stderr)
        if call.version >= (0, 57, 0):
            raise Refused("no issues found matching the provided IDs") from None
        return 0
    inside = [call.store.get(one) for one in issue["dependencies"] if call.store.has(one)]
    edges = [{**one, "dependencies": [], "dependency_type": "blocks"} for one in inside]
    print_json(call, [{**as_listed(call, issue), "dependencies": edges}])
    return 0


def run_update(call: Call) -> int:
    """Claim an issue, or change its state or assignee."""
    given = call.words[1] if len(call.words) > 1 else ""
    try:
        issue = call.find(given)
    except Refused as refusal:
        print(f"Error resolving {given}: {refusal.what}", file=sys.stderr)
        return 0 if call.version < (0, 57, 0) else 1
    if call.has("--if-assignee"):
        if call.has("--claim"):
            raise Refused("--if-assignee cannot be combined with --claim")
        if issue["assignee"] != call.flags["--if-assignee"]:
            raise Refused(f"assignee is {issue['assignee']!r}", 13)
    if call.has("--claim"):
        try:
            claim(call, issue["id"])
        except Refused as refusal:
            print(f"Error claiming {given}: {refusal.what}", file=sys.stderr)
            return 0 if call.version < (0, 57, 0) else 1
    changes = {key: call.flags[f"--{key}"] for key in ("status", "assignee") if call.has(f"--{key}")}
    with call.store.changing(issue["id"]) as changed:
        changed.update(changes)
    if call.store.has(issue["id"]):
        print_json(call, [as_listed(call, call.store.get(issue["id"]))])
    return 0


def claim(call: Call, issue_id: str) -> None:
    """Claim an issue: up to 0.56 it is read and written in two steps, and two callers can win."""
    when = " at 2026-11-21T03:17:04Z" if "says_when" in call.faults else ""
    if call.version < (0, 57, 0):
        if holder := call.store.get(issue_id)["assignee"]:
            raise Refused(f"already claimed by {holder}{when}")
        time.sleep(float(call.faults.get("pause", 0.02)) * int.from_bytes(os.urandom(1)) / 255)
    with call.store.changing(issue_id) as issue:
        if call.version >= (0, 57, 0):
            if issue["assignee"] not in {"", call.actor}:
                raise Refused(f"issue already claimed by {issue['assignee']}{when}")
            if issue["status"] not in {"open", "in_progress"}:
                raise Refused(f"issue not claimable: status {issue['status']}")
        issue.update(status="in_progress", assignee=call.actor)
        if call.version >= (1, 3, 0):
            issue["lease_expires_at"] = int(time.time()) + LEASE_SECONDS
        issue["assignee"] = call.faults.get("two_winners", issue["assignee"])
    if call.faults.get("vanishes_in_claim") == issue_id:
        call.store.delete(issue_id)
    if "hang_after_claim" in call.faults:
        time.sleep(NEVER)
    if "locked_after_claim" in call.faults:
        raise Refused("database is locked")


def run_close(call: Call) -> int:
    """Close an issue."""
    with call.store.changing(call.find(call.words[1])["id"]) as issue:
        issue["status"] = "closed"
    return 0


def run_unclaim(call: Call) -> int:
    """Give a claim back; only its holder may."""
    with call.store.changing(call.find(call.words[1])["id"]) as issue:
        if call.has("--if-assignee") and issue["assignee"] != call.flags["--if-assignee"]:
            raise Refused("assignee mismatch", 9)
        if issue["status"] == "closed":
            raise Refused(f"cannot unclaim closed issue {issue['id']}")
        if not issue["assignee"]:
            raise Refused(f"issue {issue['id']} is not assigned")
        if issue["assignee"] != call.actor and not call.has("--force"):
            raise Refused(f"not the owner: {issue['id']} is held by {issue['assignee']} (use --force to override)")
        issue.update(status="open", assignee="", lease_expires_at=0)
    return 0


def run_heartbeat(call: Call) -> int:
    """Refresh the lease of a claim."""
    with call.store.changing(call.find(call.words[1])["id"]) as issue:
        if issue["status"] != "in_progress" or issue["assignee"] != call.actor:
            raise Refused(f"issue not claimable: {issue['id']} status {issue['status']}")
        issue["lease_expires_at"] = int(time.time()) + LEASE_SECONDS
    return 0


def run_reclaim(call: Call) -> int:
    """Open every issue whose lease has expired."""
    for issue in call.store.all():
        if issue["status"] == "in_progress" and 0 < issue.get("lease_expires_at", 0) < time.time():
            with call.store.changing(issue["id"]) as changed:
                changed.update(status="open", assignee="", lease_expires_at=0)
    return 0


def run_cas(call: Call) -> int:
    """Set or remove one metadata key when its value is the expected one."""
    action, given, key = call.words[1:4]
    if "no_conditional_writes" in call.faults:
        raise Refused("this store does not support conditional writes")
    with call.store.changing(call.find(given)["id"]) as issue:
        metadata = issue["metadata"]
        current = metadata.get(key)
        expected = call.flags.get("--if")
        if (action == "set" or current is not None) and current != expected:
            body = {"error": "precondition failed", "code": "precondition_failed", "id": issue["id"], "key": key}
            body |= {"expected_value": expected} if expected is not None else {}
            body |= {"current_value": current} if current is not None else {}
            print_json(call, {**body, "schema_version": 1}, is_list=False)
            return 9
        if action == "set":
            metadata[key] = call.words[4]
        else:
            metadata.pop(key, None)
    print_json(call, {"id": given, "key": key}, is_list=False)
    return 0


def run_find_duplicates(call: Call) -> int:
    """Print the pairs of issues with the same title; 50 unless told."""
    by_title: dict[str, list[dict[str, Any]]] = {}
    for issue in call.store.all():
        if issue["status"] != "closed":
            by_title.setdefault(issue["title"], []).append(issue)
    pairs = [
        {
            "issue_a_id": same[0]["id"],
            "issue_b_id": other["id"],
            "issue_a_title": same[0]["title"],
            "issue_b_title": other["title"],
            "similarity": 1.0,
            "method": "mechanical",
        }
        for same in by_title.values()
        for other in same[1:]
    ]
    limit = call.limit(50)
    shown = pairs[:limit] if limit else pairs
    print_json(call, {"pairs": shown, "count": len(shown), "method": "mechanical", "threshold": 0.5}, is_list=False)
    return 0


COMMANDS: dict[str, Callable[[Call], int]] = {
    "list": run_list,
    "ready": run_ready,
    "blocked": run_blocked,
    "show": run_show,
    "update": run_update,
    "close": run_close,
    "unclaim": run_unclaim,
    "heartbeat": run_heartbeat,
    "reclaim": run_reclaim,
    "cas": run_cas,
    "find-duplicates": run_find_duplicates,
}
