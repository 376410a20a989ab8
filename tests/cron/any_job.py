"""Starts any command as a job of the project in the working folder: `any_job.py NAME LIMIT COMMAND…`.

LIMIT is how many seconds a hook, the health check, the notifier and the grace after a TERM may take.
"""

from __future__ import annotations

import sys

from trailblazer.config import load_config
from trailblazer.cron import carrying, ping, telling, wrapper
from trailblazer.errors import Trouble

_, name, limit, *argv = sys.argv
carrying.GRACE_SECONDS = float(limit)
ping.LIMIT_SECONDS = telling.HOOK_SECONDS = telling.NOTIFY_SECONDS = float(limit)
try:
    sys.exit(wrapper.run_job(load_config(), name, argv))
except Trouble as trouble:
    print(trouble.what, file=sys.stderr)
    sys.exit(trouble.exit_code)
