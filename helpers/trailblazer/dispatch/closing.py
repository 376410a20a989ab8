"""How every dispatch ends: summary, manifest, seal, and the last lines on the screen."""

from __future__ import annotations

from collections.abc import Callable

from trailblazer.dispatch.engine import Closing
from trailblazer.errors import Trouble
from trailblazer.events import Words
from trailblazer.record.folder import MANIFEST, Record
from trailblazer.reports.summary import write_summary


def close_dispatch(
    opened: Record, closing: Closing, people: Words, command: str, keep_seal: Callable[[str], None] | None = None
) -> int:
    """Write the summary, complete the manifest, seal the folder; say where they are; return the exit code.

    `command` is what a person would type to resume; `keep_seal` stores the seal's SHA-256 elsewhere.
    """
    opened.complete(closing.exit_code, closing.why)
    write_summary(opened.folder)
    seal = opened.seal()
    if keep_seal is not None:
        try:
            keep_seal(seal)
        except Trouble as trouble:
            people.say(f"Warning: the seal was not written to the database: {trouble.what}", "yellow")
    people.say(f"Manifest: {opened.folder / MANIFEST}")
    archives = [name for name in ("plan_preflight", "plan", "retrieval_qc") if (opened.folder / name).is_dir()]
    if archives:
        people.say("Archives: " + ", ".join(str(opened.folder / name) for name in archives))
    people.say(f"Seal: sha256:{seal}")
    if closing.exit_code:
        people.say(f"Exit {closing.exit_code}: {closing.why}", "red")
        if closing.hint:
            people.say(f"  {closing.hint}")
    if closing.exit_code and opened.standing.good < opened.standing.planned:
        people.say(f"Go on with: {command} --resume {opened.dispatch_id}")
    return closing.exit_code
