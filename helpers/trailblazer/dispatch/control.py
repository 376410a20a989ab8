"""The socket of a dispatch: other terminals steer it there while it runs. It lies beside the folder, not in it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trailblazer import schemas
from trailblazer.atomic import make_folder
from trailblazer.dispatch.door import Door
from trailblazer.dispatch.steering import Operator, read_steering
from trailblazer.errors import DocumentInvalid, PlanUnusable, ServiceDown, Trouble
from trailblazer.paths import Places
from trailblazer.processes.sockets import connect_to, listen_at, peer_of, read_line

ASK_SECONDS = 5.0  # what a client may take to say its words
ANSWER_SECONDS = 60.0  # what a dispatch may take to answer
LONGEST_NAME = 64
_NOT_RUNNING = "A dispatch is steered while it runs. `trailblazer monitor` shows how it stands."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a dispatch did when it was steered; or with another exit code than 0 why it did nothing."""

    dispatch_id: str
    words: Sequence[str]
    answer: str
    hint: str = ""
    exit_code: int = 0

    def document(self) -> dict[str, Any]:
        """Return the answer as JSON."""
        return {
            "dispatchId": self.dispatch_id, "words": list(self.words), "answer": self.answer,
            **({"hint": self.hint} if self.hint else {}), "exitCode": self.exit_code,
        }  # fmt: skip


def folder_of_sockets(dispatches: Path) -> Path:
    """Return the folder of the sockets of all dispatches in a folder."""
    return dispatches / ".control"


def socket_of(folder: Path) -> Path:
    """Return where the socket of a dispatch is."""
    name = folder.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:LONGEST_NAME]
    return folder_of_sockets(folder.parent) / f"{name}.sock"


class Control:
    """Answers at the socket of a dispatch while it is entered. `problem` says why there is no socket."""

    def __init__(self, folder: Path, door: Door) -> None:
        self.socket = socket_of(folder)
        self.problem = ""
        self._folder, self._door = folder, door
        self._listening: socket.socket | None = None

    def __enter__(self) -> Control:
        try:
            make_folder(self.socket.parent)
            self._listening = listen_at(self.socket)
            threading.Thread(target=self._serve, args=[self._listening], name="control", daemon=True).start()
        except (OSError, Trouble, RuntimeError) as error:
            self.problem = str(error)
            self._close()
        return self

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connected, _ = listening.accept()
            except OSError:  # it was shut down
                return
            with connected, contextlib.suppress(OSError):
                connected.settimeout(ASK_SECONDS)
                connected.sendall(orjson.dumps(self._answer(connected).document()) + b"\n")

    def _answer(self, connected: socket.socket) -> Answer:
        peer = peer_of(connected)
        name = self._folder.name
        if not peer.is_allowed:
            return Answer(name, (), f"{peer.name} may not steer this dispatch", exit_code=5)
        words: Sequence[str] = ()
        try:
            request = schemas.parse_json(read_line(connected))
            schemas.check("control_request", request, "the request")
            words = request["words"]
            done = self._door.steer(read_steering(words), Operator(peer.name, peer.uid, peer.pid))
            return Answer(name, words, done)
        except Trouble as trouble:
            return Answer(name, words, trouble.what, trouble.hint, trouble.exit_code)
        except (ValueError, TimeoutError) as error:
            return Answer(name, words, f"the request cannot be read: {error}", exit_code=2)

    def _close(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            with contextlib.suppress(OSError):
                self.socket.unlink()

    def __exit__(self, *_: object) -> None:
        self._close()


def is_answering(folder: Path) -> bool:
    """Say whether a process answers at the socket of a dispatch."""
    try:
        connect_to(socket_of(folder), ASK_SECONDS).close()
    except OSError:
        return False
    return True


def running_dispatches(places: Places) -> list[Path]:
    """Return the folders of the dispatches that answer at their sockets, by their names."""
    sockets = folder_of_sockets(places.dispatches)
    found = sorted(sockets.glob("*.sock")) if sockets.is_dir() else []
    return [folder for file in found if is_answering(folder := places.dispatches / file.name.removesuffix(".sock"))]


def running_dispatch(places: Places) -> Path:
    """Return the folder of the one dispatch that runs; none, or more than one, is PlanUnusable."""
    running = running_dispatches(places)
    if len(running) == 1:
        return running[0]
    if not running:
        raise PlanUnusable("no dispatch runs", _NOT_RUNNING)
    names = ", ".join(folder.name for folder in running)
    raise PlanUnusable(f"{len(running)} dispatches run: {names}", f"Name one: trailblazer control {running[-1].name} …")


def send(folder: Path, words: Sequence[str]) -> Answer:
    """Steer the dispatch of a folder, and return what it answered.

    One that does not run is PlanUnusable, and one that does not answer ServiceDown.
    """
    name = folder.name
    try:
        with connect_to(socket_of(folder), ASK_SECONDS) as connected:
            connected.settimeout(ANSWER_SECONDS)
            connected.sendall(orjson.dumps({"words": list(words)}) + b"\n")
            document = schemas.parse_json(read_line(connected))
        schemas.check("control_answer", document, "the answer")
    except (FileNotFoundError, ConnectionRefusedError):
        raise PlanUnusable(f"dispatch {name} does not run", _NOT_RUNNING) from None
    except PermissionError as error:
        raise PlanUnusable(f"dispatch {name} cannot be steered: {error.strerror}", "Its user and root can.") from None
    except (OSError, ValueError, DocumentInvalid) as error:
        raise ServiceDown(f"dispatch {name} gave no answer: {error}", "Say the same again.") from error
    return Answer(name, document["words"], document["answer"], document.get("hint", ""), document["exitCode"])
