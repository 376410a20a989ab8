"""A project whose jobs are started as cron starts them, and a server on loopback that hears what they tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from trailblazer.paths import CONFIG_NAME
from trailblazer.processes.marks import end_marked

ANY_JOB = Path(__file__).with_name("any_job.py")
LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class JobProject:
    """A folder with a configuration of `cron`."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def configure(self, **cron: Any) -> None:
        """Write the configuration."""
        file = self.folder / CONFIG_NAME
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"cron": cron}))

    def write_crontab(self, *lines: str) -> None:
        """Write config/crontab."""
        self.configure()
        (self.folder / "config" / "crontab").write_text("".join(f"{line}\n" for line in lines))

    def popen(self, *argv: str, limit: float = LIMIT, name: str = "job", **environment: str) -> subprocess.Popen[str]:
        """Start a command as a job, with the environment that cron gives."""
        wrapper = subprocess.Popen(
            [sys.executable, str(ANY_JOB), name, str(limit), *argv],
            cwd=self.folder,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(wrapper)
        return wrapper

    def end(self) -> None:
        """End what a test that failed has left running."""
        for wrapper in self.started:
            if wrapper.poll() is None:
                wrapper.kill()
                wrapper.communicate()
        end_marked(f"{self.jobs.resolve()}/", grace=0.0)

    def run(self, *argv: str, limit: float = LIMIT, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a job, and return what cron would see of it."""
        with self.popen(*argv, limit=limit, **environment) as started:
            out, err = started.communicate(timeout=LIMIT)
        return subprocess.CompletedProcess(argv, started.returncode, out, err)

    def trailblazer(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a verb with the environment that cron gives."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "trailblazer", *words],
            cwd=self.folder,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )

    @property
    def _environment(self) -> dict[str, str]:
        packages = os.environ.get("PYTHONPATH")
        given = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "SHELL": "/bin/sh", "no_proxy": "*"}
        return {**given, "PYTHONPATH": packages} if packages else given

    @property
    def jobs(self) -> Path:
        """The folder of locks, logs and job files."""
        return self.folder / "var" / "logs" / "cron"

    @property
    def job(self) -> dict[str, Any]:
        """The job file."""
        document: dict[str, Any] = json.loads((self.jobs / "job.json").read_text())
        return document

    @property
    def log(self) -> str:
        """The log of the job."""
        return (self.jobs / "job.log").read_text()


class Monitor(ThreadingHTTPServer):
    """Answers each request with `code` and keeps its path and body. While it `hangs` it answers none."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.code = 200
        self.hangs = False
        self.paths: list[str] = []
        self.bodies: list[str] = []
        self.released = threading.Event()

    @property
    def where(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Monitor

    def do_GET(self) -> None:
        """Answer."""
        self.server.paths.append(self.path)
        self.server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        if self.server.hangs:
            self.server.released.wait(LIMIT)
        self.send_response(self.server.code)
        self.send_header("Location", f"http://{self.server.where}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Monitor]:
    """Yield a monitor that listens."""
    with Monitor() as monitor:
        thread = threading.Thread(target=monitor.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield monitor
        finally:
            monitor.released.set()
            monitor.shutdown()
            thread.join()
