"""posix_spawn without Python's global lock, which os.posix_spawn holds until the child runs its program."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence

VARIABLE = "TRAILBLAZING"  # holds the mark by which the processes of a dispatch are found
RESTORED = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ)
# glibc's and musl's values, from <spawn.h>; the opaque structs of both fit into OPAQUE_BYTES with room to spare.
_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
_OPAQUE_BYTES = 1024
_ENCODING = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()  # as os.fsencode has it, in fewer steps


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _attributes() -> ctypes.Array[ctypes.c_char]:
    """Return spawn attributes: its own session, no signal blocked, and the default for signals that Python changes."""
    libc = _libc()
    attributes, none, restored = (ctypes.create_string_buffer(_OPAQUE_BYTES) for _ in range(3))
    libc.posix_spawnattr_init(attributes)
    libc.sigemptyset(none)
    libc.sigemptyset(restored)
    for number in RESTORED:
        libc.sigaddset(restored, int(number))
    libc.posix_spawnattr_setsigmask(attributes, none)
    libc.posix_spawnattr_setsigdefault(attributes, restored)
    libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGDEF | _SETSIGMASK | _SETSID))
    return attributes


Block = ctypes.Array[ctypes.c_char_p]


def environment_block(environment: Mapping[str, str]) -> Block:
    """Return an environment as `spawn` takes it, with room for a mark: made once for thousands of children."""
    return _array([*(_bytes(f"{name}={value}") for name, value in environment.items() if name != VARIABLE), b""])


def _marked(environment: Block, mark: str) -> Block:
    copied = type(environment).from_buffer_copy(environment)
    copied[len(copied) - 2] = _bytes(f"{VARIABLE}={mark}")
    return copied


def spawn(
    argv: Sequence[str],
    environment: Block,
    descriptors: tuple[int, int, int],
    mark: str,
    folder: str = "",
) -> int:
    """Start a command, found on our PATH, in a session of its own and with a mark in its environment; return its pid.

    `descriptors` become its stdin, stdout and stderr; `folder` is where it works, empty for ours. A path of the command
    that is not absolute begins at that folder. A command that cannot be started raises OSError.
    """
    if folder:
        _refuse_missing(folder)
        if not has_working_folder_action():
            argv = _entering(folder, argv)
    libc, words = _libc(), [_bytes(word) for word in argv]
    actions = ctypes.create_string_buffer(_OPAQUE_BYTES)
    libc.posix_spawn_file_actions_init(actions)
    pid = ctypes.c_int()
    try:
        for target, source in enumerate(descriptors):
            libc.posix_spawn_file_actions_adddup2(actions, source, target)
        if folder and has_working_folder_action():
            libc.posix_spawn_file_actions_addchdir_np(actions, _bytes(folder))
        problem = libc.posix_spawnp(
            ctypes.byref(pid),
            words[0],
            actions,
            _attributes(),
            _array(words),
            _marked(environment, mark),
        )
    finally:
        libc.posix_spawn_file_actions_destroy(actions)
    if problem:
        raise OSError(problem, os.strerror(problem), argv[0])
    return pid.value


@functools.cache
def has_working_folder_action() -> bool:
    """Return whether the C library can start a command in another folder (glibc 2.29, musl 1.1.24, macOS 10.15)."""
    return hasattr(_libc(), "posix_spawn_file_actions_addchdir_np")


def _refuse_missing(folder: str) -> None:
    """Refuse a working folder that does not exist: the error of posix_spawn would blame the command."""
    if not os.path.isdir(folder):  # noqa: PTH112 - a path as text, as the order has it
        raise NotADirectoryError(errno.ENOTDIR, f"there is no working folder {folder}", folder)


_ENTER = "import os, sys; os.chdir(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"


def _entering(folder: str, argv: Sequence[str]) -> list[str]:
    """Return a command that enters a folder and becomes the wanted one: for a C library that cannot do it."""
    if shutil.which(os.path.join(folder, argv[0]) if os.sep in argv[0] else argv[0]) is None:  # noqa: PTH118
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    return [sys.executable, "-I", "-S", "-c", _ENTER, folder, *argv]


def _bytes(word: str) -> bytes:
    encoded = word.encode(*_ENCODING)
    if b"\0" in encoded:
        raise ValueError("an argument holds a NUL character, which no command can take")
    return encoded


def _array(words: list[bytes]) -> Block:
    return (ctypes.c_char_p * (len(words) + 1))(*words, None)
