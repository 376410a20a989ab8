"""A worker process that claims a run, embeds it, says what it stored, and waits to be killed before it completes."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

from trailblazer.config import load_config
from trailblazer.database.claims import Claim
from trailblazer.database.connection import connect
from trailblazer.database.holdings import Holdings
from trailblazer.pipeline.embedding import Embedding


def main() -> None:
    """Embed the run that the words name, with these settings."""
    flags, run_id = json.loads(sys.argv[1]), sys.argv[2]
    config = load_config(flags)
    claim = Holdings(lambda: connect(config), 600, 3).take([run_id], "embed", again=False)[run_id]
    assert isinstance(claim, Claim), claim
    print(json.dumps(asdict(Embedding(flags).embed([claim], None)[0].stored)), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main()
