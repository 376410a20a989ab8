"""The live view of a dispatch in the terminal where it runs: drawn by a thread, twice a second at most."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from trailblazer.reports.screen import Scene, Screen
from trailblazer.streams import tell

DRAW_SECONDS = 0.5
MOST_RECENT = 50  # lines that are said again when the terminal has another size
JOIN_SECONDS = 3.0


class Keyboard:
    """Reads single keys of the terminal while it is entered, without echo; Ctrl-C stays an interrupt.

    In the background it reads nothing. Where there is no terminal to read from, `handle` is None.
    """

    def __init__(self) -> None:
        self.handle: int | None = None
        self._before: list[object] | None = None

    def __enter__(self) -> Keyboard:
        with contextlib.suppress(OSError):
            self.handle = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        return self

    def is_ours(self) -> bool:
        """Say whether this process is in the foreground of the terminal."""
        try:
            return self.handle is not None and os.tcgetpgrp(self.handle) == os.getpgrp()
        except OSError:
            return False

    def listen(self) -> None:
        """Have single keys come, without echo."""
        if self.handle is None or not self.is_ours():
            return
        with contextlib.suppress(termios.error):
            now = termios.tcgetattr(self.handle)
            if now[3] & termios.ICANON:
                self._before = list(now)
                now[3] &= ~(termios.ICANON | termios.ECHO)
                termios.tcsetattr(self.handle, termios.TCSADRAIN, now)

    def rest(self) -> None:
        """Have whole lines come again, with echo."""
        before, self._before = self._before, None
        if before is not None and self.handle is not None and self.is_ours():
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.handle, termios.TCSADRAIN, before)  # type: ignore[arg-type]

    def read(self) -> str:
        """Return the keys that were typed; nothing in the background."""
        if self.handle is None or not self.is_ours():
            return ""
        with contextlib.suppress(OSError):
            return os.read(self.handle, 64).decode(errors="replace")
        return ""

    def __exit__(self, *_: object) -> None:
        self.rest()
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


class LiveView:
    """Draws a scene while it is entered. Lines that are said appear above it, within half a second.

    `look` returns the scene of the moment, `press` takes one key. `continued` counts how often this process went on
    after it had been stopped: somebody else has used the terminal then.
    """

    def __init__(
        self, look: Callable[[], Scene], press: Callable[[str], None], continued: Callable[[], int] = lambda: 0
    ) -> None:
        self._look, self._press, self._continued, self._went_on = look, press, continued, 0
        self._screen, self._keyboard = Screen(sys.stderr), Keyboard()
        self._lock = threading.RLock()
        self._said: list[str] = []
        self._recent: deque[str] = deque(maxlen=MOST_RECENT)
        self._hidden = 0
        self._over = False
        self._wake, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="live-view", daemon=True)

    def __enter__(self) -> LiveView:
        self._keyboard.__enter__()
        try:
            self._thread.start()
        except RuntimeError:  # the system gives no thread: the words are enough
            self._over = True
        return self

    def say(self, text: str) -> None:
        """Print text above the view at the next drawing."""
        with self._lock:
            self._recent.append(text)
            if self._over:
                tell(text)
            else:
                self._said.append(text)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """While it is entered the view is away and the terminal is as it was; what was said is printed."""
        with self._lock:
            self._hidden += 1
            self._put_away()
        try:
            yield
        finally:
            with self._lock:
                self._hidden -= 1

    def _put_away(self) -> None:
        self._screen.erase()
        self._keyboard.rest()
        self._print()

    def _print(self) -> None:
        said, self._said = self._said, []
        if said:
            tell("".join(said))

    def _run(self) -> None:
        """Draw and take keys until it is over. Drawing must never stop a dispatch: what fails ends the view alone."""
        drawn = time.monotonic()
        try:
            while not self._over:
                self._wait(DRAW_SECONDS - (time.monotonic() - drawn))
                if time.monotonic() - drawn < DRAW_SECONDS or self._over:
                    continue
                with self._lock:
                    drawn = time.monotonic()
                    if not self._hidden and not self._over:
                        self._draw()
        except Exception as error:  # noqa: BLE001 - the view is for people; the dispatch goes on without it
            with self._lock:
                self._over = True
                self._put_away()
            tell(f"Warning: the live view has ended: {error!r}\n")

    def _draw(self) -> None:
        if self._keyboard.handle is not None and not self._keyboard.is_ours():
            self._screen.forget()
            self._print()
            return
        self._keyboard.listen()
        if self._continued() > self._went_on:
            self._went_on = self._continued()
            self._screen.forget()
        if self._screen.was_resized():  # nobody knows where the terminal has put the old lines
            self._screen.forget()
            self._said = ["\033[H\033[2J", *self._recent]
        has_said = bool(self._said)
        if has_said:
            self._screen.erase()
            self._print()
        self._screen.draw(self._look(), anew=has_said)

    def _wait(self, seconds: float) -> None:
        handles = [self._wake]
        if self._keyboard.handle is not None and not self._hidden and self._keyboard.is_ours():
            handles.append(self._keyboard.handle)
        ready, _, _ = select.select(handles, [], [], max(0.0, seconds))
        if self._keyboard.handle in ready and not self._hidden:
            for key in self._keyboard.read():
                self._press(key)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
        os.write(self._waker, b"x")
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        with self._lock:
            self._put_away()
        self._keyboard.__exit__()
        os.close(self._wake)
        os.close(self._waker)
