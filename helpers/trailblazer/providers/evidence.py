"""Whether what a success should have made is there: commits, changed files, an answer, a file."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from trailblazer.errors import Trouble
from trailblazer.processes.git import ask_git
from trailblazer.providers.order import Evidence, Order

MOST_FILES = 2_000  # changed files whose content is looked at; of the others size and time tell
MOST_BYTES = 4 << 20  # of each
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class TreeUnknown(Trouble):
    """Git does not say what a working folder is: it is no checkout, or git did not answer in time."""


def state_of(tree: str | Path) -> str:
    """Return what a git working folder is: its commit, and a digest of all that differs from it.

    Two equal states mean that nothing was committed or changed in between. A folder of which git says nothing raises
    TreeUnknown. It only reads, and runs no hook.
    """
    folder = Path(tree)
    changed = ask_git(folder, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    if changed is None:
        raise TreeUnknown(f"git says nothing of {folder}", "Is it a git checkout?")
    head = ask_git(folder, "rev-parse", "--verify", "-q", "HEAD") or "none"
    top = Path(ask_git(folder, "rev-parse", "--show-toplevel") or folder)
    digest = hashlib.sha256(changed.encode("utf-8", "surrogateescape"))
    # ask_git cuts the blanks around its answer: the first entry may lack the blank that it begins with.
    names = [entry[3:] if entry[2:3] == " " else entry[2:] for entry in changed.split("\0") if entry]
    for number, name in enumerate(names):
        digest.update(_content(top / name, is_read=number < MOST_FILES))
    return f"{head}:{digest.hexdigest()}"


def _content(file: Path, *, is_read: bool) -> bytes:
    """Return what tells one content of a file from another; nothing where it cannot be looked at."""
    try:
        about = file.lstat()
        if stat.S_ISLNK(about.st_mode):
            return os.fsencode(file.readlink())
        if is_read and stat.S_ISREG(about.st_mode) and about.st_size <= MOST_BYTES:
            handle = os.open(file, _READ)
            try:
                return hashlib.sha256(os.read(handle, MOST_BYTES)).digest()
            finally:
                os.close(handle)
    except (OSError, ValueError):
        return b""
    return f"{about.st_size} {about.st_mtime_ns}".encode()


def missing_evidence(order: Order, answer: str) -> str:
    """Return in one line what a success should have made and did not; empty when it is there.

    `answer` is the text that the command answered. Call it after every process of the attempt has gone.
    """
    wanted = order.expects.evidence
    if wanted is Evidence.ANSWER:
        return "" if answer.strip() else "it says success, and its answer is empty"
    if wanted is Evidence.FILE:
        return "" if _has_content(order.output_file) else f"it says success, and {order.output_file} is not there"
    if wanted is Evidence.CHANGES:
        return _missing_changes(order)
    return ""


def _has_content(file: str) -> bool:
    try:
        about = os.lstat(file)
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_size > 0


def _missing_changes(order: Order) -> str:
    tree = order.tree or os.getcwd()  # noqa: PTH109 - a path as text, as the order has it
    try:
        is_same = state_of(tree) == order.tree_state
    except TreeUnknown as trouble:
        return f"it says success, and {trouble.what}"
    return f"it says success, and nothing has changed in {tree}" if is_same else ""
