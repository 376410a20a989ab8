"""Answer a dispatcher's gate about a run as a user without rights: gate_as_plain_user.py UID READY_RUN RUN.

The first gate, about READY_RUN, still runs as root: it loads what a plain user may not be able to read.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from trailblazer.pipeline.answering import answers
from trailblazer.pipeline.embedding import Embedding
from trailblazer.pipeline.messages import Reply, Request, Task

uid, ready_run, run = int(sys.argv[1]), sys.argv[2], sys.argv[3]
embedding = Embedding({})


def ask(name: str) -> Reply:
    """Return what the gate says of a run."""
    (reply,) = answers(embedding, Request({}, "", (Task("gate", name),)), lambda _reply: None)
    return reply


ask(ready_run)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
print(json.dumps(asdict(ask(run))))
