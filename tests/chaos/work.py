"""What an item of the chaos does: one process that can prove that no other attempt of its item lives beside it.

Usage: work.py FOLDER INDEX ATTEMPT KIND SECONDS. It holds a lock of its item, and so does whatever it leaves behind.
A file `quick` in the folder ends all waiting.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

LEFT_BEHIND_SECONDS = 120.0


def main() -> None:
    """Write down that the attempt begins, leave behind what the kind says, and sleep."""
    folder, index, attempt, kind, seconds = sys.argv[1:]
    lock = os.open(f"{folder}/{index}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note(folder, f"beside {index} {attempt}")
    note(folder, f"begin {index} {attempt}")
    if kind == "stubborn":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    if kind == "fork" and os.fork() == 0:
        time.sleep(LEFT_BEHIND_SECONDS)
        os._exit(0)
    if kind == "daemon" and os.fork() == 0:
        become_daemon()
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline and not os.path.exists(f"{folder}/quick"):  # noqa: PTH110 - starts in 10 ms
        time.sleep(min(0.05, float(seconds)))
    print(index)


def become_daemon() -> None:
    """Leave session and parent behind, as daemons do, and have a child as well."""
    os.setsid()
    for number in (0, 1):
        if os.fork() == 0:
            if number == 1:
                os.fork()
            time.sleep(LEFT_BEHIND_SECONDS)
            os._exit(0)
    os._exit(0)


def note(folder: str, line: str) -> None:
    """Append a line to the diary that all items share."""
    diary = os.open(f"{folder}/diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(diary, f"{line}\n".encode())
    os.close(diary)


if __name__ == "__main__":
    main()
