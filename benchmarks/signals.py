"""Signals: how many are settled a second, how soon an answer is heard, and what waiting costs.

Run as `python benchmarks/signals.py`. The agents answer at once. What is compared with is a plain loop that writes,
renames and reads the same files with the same bytes, and does nothing else.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from _turns import compare

from trailblazer.signals import BatchFileDispatcher, Context, FileDispatcher
from trailblazer.signals.batches import Batch
from trailblazer.signals.files import Post
from trailblazer.signals.suite import Suite

SIGNALS, BATCH, ROUNDS = 400, 4, 7
REACTIONS = 300
WAITING, WAITING_SECONDS = 1_000, 30.0
PROMPT = "What is wrong with this case? " * 20
# An agent in a process of its own that only knows the folder: it answers every signal of every manifest.
AGENT = """
import json, os, sys, time
folder, agent, agents, total = sys.argv[1], *map(int, sys.argv[2:])
done = 0
seen = set()
os.makedirs(f"{folder}/batches", exist_ok=True)
print("ready", flush=True)
while done < total:
    time.sleep(0.001)
    for name in os.listdir(f"{folder}/batches"):
        if name in seen or not os.path.exists(f"{folder}/batches/{name}/batch-manifest.json"):
            continue
        seen.add(name)
        with open(f"{folder}/batches/{name}/batch-manifest.json") as file:
            signals = json.load(file)["signals"]
        for place, signal in enumerate(signals):
            done += 1
            if place % agents == agent:
                number = signal["signal_path"].split("/")[-2]
                with open(f"{folder}/artifacts/.{number}", "w") as file:
                    file.write('{"dispatch_id": %s, "data": {"answer": 1}}' % number)
                os.rename(f"{folder}/artifacts/.{number}", f"{folder}/artifacts/{number}.json")
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="trailblazer-bench-") as name:
        folder = Path(name)
        print(f"{f'{SIGNALS} signals, settled a second':<58} {'ours':>8} {'theirs':>8} {'ratio':>7}")
        for what, settle, clock, reach in (
            ("batches of 4, the agent in the same process", _settle_batches, time.perf_counter, "<= 3 x"),
            ("single signals, the agent in the same process", _settle_singles, time.perf_counter, "<= 3 x"),
            ("batches of 4, two agents elsewhere: processor time", _settle_with_processes, time.process_time, "<= 3 x"),
            ("the same by the clock", _settle_with_processes, time.perf_counter, "(for information: the agents too)"),
        ):
            _race(folder, what, settle, clock, reach)
        _react(folder)
        _wait(folder)


def _fresh(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


Clock = Callable[[], float]


def _race(folder: Path, what: str, settle: Callable[[Path, Clock], float], clock: Clock, reach: str) -> None:
    """Compare with a plain loop over what the last turn of ours has left; both are measured with one clock."""
    left = [folder]

    def ours() -> float:
        left[0] = _fresh(folder)
        return settle(left[0], clock)  # the turn that does not count has the imports, and the first of everything

    def theirs() -> float:
        files, fresh = _files_of(Suite(left[0])), _fresh(folder)
        begun = clock()
        _plain_loop(files, fresh)
        return clock() - begun

    found = compare(ours, theirs, ROUNDS)
    rate, plain = SIGNALS / found.ours, SIGNALS / found.theirs
    print(f"  {what:<56} {rate:>6.0f}/s {plain:>6.0f}/s {found.ratio:>6.2f}x   {reach}", flush=True)


def _contexts(count: int) -> list[Context]:
    return [Context(f"case-{number}", "triage", PROMPT) for number in range(count)]


def _answer(suite: Suite, exchange: Batch | Post) -> None:
    for number in exchange.numbers:
        _put(f"{suite.artifacts}/{number}.json", b'{"dispatch_id": %d, "data": {"answer": 1}}' % number)


def _settle_batches(folder: Path, clock: Clock) -> float:
    begun = clock()
    single = FileDispatcher(folder)
    batches = BatchFileDispatcher(single, phase="triage")
    for _ in range(SIGNALS // BATCH):
        batch = batches.post(_contexts(BATCH))
        _answer(single.suite, batch)
        _must_be_done([result.status for result in batch.results()], BATCH)
    single.close()
    return clock() - begun


def _settle_singles(folder: Path, clock: Clock) -> float:
    begun = clock()
    single = FileDispatcher(folder)
    for context in _contexts(SIGNALS):
        post = single.post([context])
        _answer(single.suite, post)
        _must_be_done([result.status for result in post.results()], 1)
    single.close()
    return clock() - begun


def _settle_with_processes(folder: Path, clock: Clock) -> float:
    single = FileDispatcher(folder)
    single.suite.make()
    batches = BatchFileDispatcher(single, phase="triage")
    words = [[sys.executable, "-I", "-S", "-c", AGENT, str(folder), str(agent), "2", str(SIGNALS)] for agent in (0, 1)]
    agents = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in words]
    waiting: list[Batch] = []
    for agent in agents:
        assert agent.stdout is not None
        agent.stdout.readline()
    begun = clock()
    for _ in range(SIGNALS // BATCH):
        waiting.append(batches.post(_contexts(BATCH)))
        if len(waiting) == 4:
            _must_be_done([result.status for result in waiting.pop(0).results()], BATCH)
    for batch in waiting:
        _must_be_done([result.status for result in batch.results()], BATCH)
    single.close()
    took = clock() - begun
    for agent in agents:
        agent.communicate()
    return took


def _must_be_done(statuses: list[str], count: int) -> None:
    if ["done"] * count != statuses:
        raise SystemExit(f"signals: {statuses}")


def _files_of(suite: Suite) -> list[tuple[str, bytes, int]]:
    """Return the files that a settled suite holds: where, what, and how often each was written."""
    found = []
    for file in sorted(suite.folder.rglob("*.*")):
        times = {"signal.json": 2, "batch-manifest.json": BATCH + 3}.get(file.name, 1)
        found.append((str(file.relative_to(suite.folder)), file.read_bytes(), times))
    return found


def _plain_loop(files: list[tuple[str, bytes, int]], folder: Path) -> None:
    """Write each file under another name, rename it, as often as it was; read each answer; count in one file."""
    counter = os.open(f"{folder}/last_id", os.O_RDWR | os.O_CREAT, 0o600)
    for number, (name, content, times) in enumerate(files):
        target = f"{folder}/{name}"
        if not os.path.isdir(os.path.dirname(target)):  # noqa: PTH112, PTH120 - the plainest way
            os.makedirs(os.path.dirname(target))  # noqa: PTH103, PTH120
        for _ in range(times):
            _put(target, content)
        if name.endswith("signal.json"):
            os.pwrite(counter, b"%d\n" % number, 0)
        if name.startswith("artifacts"):
            handle = os.open(target, os.O_RDONLY)
            os.read(handle, 1 << 20)
            os.close(handle)
    os.close(counter)


def _put(target: str, content: bytes) -> None:
    """Write a file and rename it, by system calls alone: so the agent in our process does, and the plain loop."""
    handle = os.open(f"{target}.draft", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(handle, content)
    os.close(handle)
    os.rename(f"{target}.draft", target)  # noqa: PTH104


def _react(folder: Path) -> None:
    """Measure from the rename of an artifact until dispatch() returns, in another thread."""
    single = FileDispatcher(_fresh(folder))
    returned = [0.0]

    def dispatch() -> None:
        single.dispatch(Context("case", "triage", PROMPT))
        returned[0] = time.perf_counter()

    took = []
    for number in range(1, REACTIONS + 1):
        waiting = threading.Thread(target=dispatch)
        waiting.start()
        while not single.suite.signal(number).exists():
            time.sleep(0.001)
        time.sleep(0.005)  # now it waits
        draft = single.suite.artifacts / ".draft"
        draft.write_bytes(b'{"dispatch_id": %d, "data": {}}' % number)
        begun = time.perf_counter()
        draft.rename(single.suite.artifact(number))
        waiting.join()
        took.append(1000 * (returned[0] - begun))
    single.close()
    p50, p95 = statistics.median(took), statistics.quantiles(took, n=20)[-1]
    print(
        f"from an artifact's rename until dispatch() returns: p50 {p50:.1f} ms, p95 {p95:.1f} ms   < 50 ms", flush=True
    )


def _wait(folder: Path) -> None:
    """Measure the processor time of this process while signals wait and nothing comes."""
    single = FileDispatcher(_fresh(folder))
    post = single.post(_contexts(WAITING))
    waiting = threading.Thread(target=lambda: list(post.results()))
    waiting.start()
    time.sleep(2.0)
    begun = time.process_time()
    time.sleep(WAITING_SECONDS)
    share = (time.process_time() - begun) / WAITING_SECONDS
    post.end()
    waiting.join()
    single.close()
    shutil.rmtree(single.suite.folder)
    print(f"{WAITING:,} waiting signals over {WAITING_SECONDS:.0f} s: {100 * share:.2f} % of a core   < 0.5 %")


if __name__ == "__main__":
    main()
