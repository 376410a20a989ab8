"""Stdin, stdout and stderr as they are at night: closed by the parent, on a full disk, or read by nobody."""

from __future__ import annotations

import codecs
import io
import os
import sys

from trailblazer.errors import storage_trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


_is_quiet = False


def hold_streams() -> None:
    """Put the null device where a stream was closed, so that no file opened later takes its number.

    From now on a character that an encoding does not have is written as \\u2603, which JSON understands too.
    """
    codecs.register_error("trailblazer", _escaped)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, errors="replace"))  # noqa: PTH123, SIM115 - lives as long as we
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="trailblazer")


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return the escapes of what cannot be encoded: UTF-16 units, as JSON has them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4)), error.end


def put_out(text: str) -> None:
    """Write to stdout at once. A stdout that takes no more is StorageTrouble, once: what follows goes nowhere."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        drop(sys.stdout)
        raise storage_trouble(error, "write to stdout") from error


def tell(text: str) -> None:
    """Write to stderr at once; one that takes nothing must not stop the work, which is in files as well."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        drop(sys.stderr)


def hush(*, is_quiet: bool) -> None:
    """Say whether words for people are left out in this process; the line of an error never is."""
    global _is_quiet
    _is_quiet = is_quiet


def is_hushed() -> bool:
    """Say whether words for people are left out."""
    return _is_quiet


def drop(stream: TextIO) -> None:
    """Let everything that is still to be written to a stream go nowhere, also what its buffer holds."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
