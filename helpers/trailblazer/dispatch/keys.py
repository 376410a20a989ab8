"""The keys of the live view: each is a steering."""

from __future__ import annotations

import os
from collections.abc import Callable

from trailblazer.dispatch.door import Door
from trailblazer.dispatch.steering import MOST_SLOTS, Drain, Operator, Pause, Resume, Steering, Workers
from trailblazer.errors import Trouble
from trailblazer.processes.sockets import user_name

KEYS = "p pause · r resume · d drain · + - workers · ? keys"
HELP = (
    "p  pause: start nothing new; what runs goes on",
    "r  resume",
    "d  drain: let what runs finish, then end; --resume runs the rest",
    "+  one worker more",
    "-  one worker less; what runs above that finishes first",
    "Ctrl-C  end what runs, then end",
    "From another terminal: trailblazer control --help",
)
_STEERINGS: dict[str, Steering] = {"p": Pause(), "r": Resume(), "d": Drain()}


class Keys:
    """Takes single keys. `slots` says how many workers there are now; answers are said."""

    def __init__(self, door: Door, slots: Callable[[], int], say: Callable[[str, str], None]) -> None:
        self._door, self._slots, self._say = door, slots, say
        self._who = Operator(user_name(os.getuid()), os.getuid(), os.getpid())

    def press(self, key: str) -> None:
        """Do what a key means; one without a meaning does nothing."""
        if key == "?":
            for line in HELP:
                self._say(line, "")
            return
        steering = self._steering(key)
        if steering is None:
            return
        try:
            self._say(self._door.steer(steering, self._who), "green")
        except Trouble as trouble:
            self._say(trouble.what, "yellow")

    def _steering(self, key: str) -> Steering | None:
        if key in "+-":
            return Workers(min(MOST_SLOTS, max(1, self._slots() + (1 if key == "+" else -1))))
        return _STEERINGS.get(key)
