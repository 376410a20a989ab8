"""How many groups of items are busy, and the wait until the lane has room for another one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from trailblazer.dispatch.lane import Dispatch, Lane
from trailblazer.dispatch.settling import Audience
from trailblazer.record.admission import WIDE, Room, Switch, To
from trailblazer.record.folder import Record

LOOK_SECONDS = 0.1
GROWTH_SECONDS = 15.0  # between two lines about a limit that grows


def dispatch_of(record: Record, audience: Audience, say: Callable[[str], None]) -> Dispatch:
    """Return what a lane may know of a dispatch; its switches go to the journal, then to the audience."""
    return Dispatch(
        record.dispatch_id,
        record.folder,
        record.manifest.traceparent,
        is_resumed=bool(record.standing.resumes),
        switched=lambda switch: note_switch(record, audience, switch),
        say=say,
        spent=dict(record.standing.usage),
        spent_by={name: dict(tally.usage) for name, tally in record.standing.tallies.of.items()},
    )


def note_switch(record: Record, audience: Audience, switch: Switch) -> None:
    """Write a switch of a provider to the journal, then show it."""
    record.switch(switch)
    audience.switched(switch)


class Admission:
    """Lets groups begin while the lane has room, at most `slots` at once, which may be changed at any time.

    `switched` is told once for whom everything waits, when no more, and of the limit that was found of a provider.
    One thread at a time may ask; any thread may say that a group is done.
    """

    def __init__(self, lane: Lane, slots: int, switched: Callable[[Switch], None]) -> None:
        self._lane, self.slots, self._switched = lane, slots, switched
        self.room = WIDE
        self._change = threading.Condition()
        self._busy = 0
        self._waiting: Room | None = None
        self._found, self._grown_at = ("", 0), 0.0

    def begin(self) -> bool:
        """Count one more group if it may begin, and say whether it may. Trouble is the lane's."""
        self.room = room = self._lane.room()
        self._say_limit(room)
        if self._busy < min(room.slots, self.slots):
            self._say(None)
            with self._change:
                self._busy += 1
            return True
        if room.slots == 0 and room.until is not None:
            self._say(room)
        return False

    def wait(self) -> None:
        """Wait a moment, until a group is done at most."""
        with self._change:
            if self._busy >= min(self.room.slots, self.slots):
                self._change.wait(LOOK_SECONDS)

    def end(self) -> None:
        """Count a group as done."""
        with self._change:
            self._busy -= 1
            self._change.notify()

    def _say_limit(self, room: Room) -> None:
        """Tell of a smaller limit at once, and of a larger one when it has grown for a while."""
        name, before = self._found
        is_less = name != room.name or room.found < before
        is_soon = not is_less and time.monotonic() < self._grown_at + GROWTH_SECONDS
        if not room.found or self._found == (room.name, room.found) or is_soon:
            return
        self._found, self._grown_at = (room.name, room.found), time.monotonic()
        reason = f"answers 429 so far: {room.limited:,}" if is_less else "it has answered all since the last 429"
        self._switched(Switch(room.name, To.LIMITED, reason, slots=room.found))

    def _say(self, room: Room | None) -> None:
        if room == self._waiting:
            return
        before, self._waiting = self._waiting, room
        if room is not None:
            self._switched(Switch(room.name, To.WAITING, room.reason, room.until))
        elif before is not None:
            self._switched(Switch(before.name, To.WAITED))
