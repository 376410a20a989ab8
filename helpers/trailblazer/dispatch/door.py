"""The one door through which a dispatch is steered: the socket, the keys and signals all use it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from trailblazer.dispatch.obeying import Obeyed
from trailblazer.dispatch.steering import Operator, Refusal, Steering, words_of
from trailblazer.plain import one_line
from trailblazer.record.admission import WIDE, Room
from trailblazer.record.folder import Record
from trailblazer.record.lines import Steered

Decide = Callable[[Steering, str], Obeyed]


class Door:
    """Takes steerings while an engine carries items out; any thread may call it. Each is one line of the journal."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._lock = threading.Lock()
        self._decide: Decide | None = None
        self.room: Callable[[], Room] = lambda: WIDE
        self._why_shut = "the dispatch has not begun its items yet"

    def steer(self, steering: Steering, who: Operator) -> str:
        """Do what a steering asks for, and return what was done in one plain sentence.

        What cannot be done now is refused with a Trouble, and nothing was changed then.
        """
        with self._lock:
            if self._decide is None:
                raise Refusal(self._why_shut, "Steer it while it carries items out.")
            obeyed = self._decide(steering, who.name)
            (action, word), answer = words_of(steering), one_line(obeyed.answer)
            self._record.steer(Steered(action=action, word=word, by=who.name, uid=who.uid, pid=who.pid, answer=answer))
            obeyed.act()
            return obeyed.answer

    @contextlib.contextmanager
    def open(self, decide: Decide, room: Callable[[], Room]) -> Iterator[None]:
        """Take steerings while it is entered. `room` says what the limits of the lane allow now."""
        self._decide, self.room = decide, room
        try:
            yield
        finally:
            with self._lock:
                self._decide, self._why_shut = None, "the dispatch is closing: its items are done"

    def shut_if(self, is_over: Callable[[], bool]) -> bool:
        """Take no more steerings if it is over; say whether it is. No steering comes in between."""
        with self._lock:
            if is_over():
                self._decide, self._why_shut = None, "the dispatch is closing: its items are done"
            return self._decide is None
