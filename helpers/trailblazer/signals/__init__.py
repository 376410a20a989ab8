"""Work for agents that can only read and write files: signals, batches of them, and what comes back.

`docs/parallel-architecture.md` tells the protocol, so that an agent can speak it without this library.
"""

from trailblazer.signals.batches import BatchFileDispatcher
from trailblazer.signals.briefing import generate_briefing
from trailblazer.signals.dispatcher import Announcing, Context, Dispatcher, Recording, Retrying
from trailblazer.signals.documents import read_manifest, write_manifest
from trailblazer.signals.files import FileDispatcher

__all__ = [
    "Announcing",
    "BatchFileDispatcher",
    "Context",
    "Dispatcher",
    "FileDispatcher",
    "Recording",
    "Retrying",
    "generate_briefing",
    "read_manifest",
    "write_manifest",
]
