"""One round of the chaos: a dispatch is begun, harmed, resumed until it says that all is well, and judged."""

from __future__ import annotations

import abc
import contextlib
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from chaos.clocks import WrongClock
from chaos.figures import Figures
from chaos.servers import OwnServer
from chaos.service import WatchingServer
from chaos.watching import Diary, is_closed, settled_well, started, survivors, whole_on_disk
from lanes.embed.project import TRAILBLAZER, Project, texts_of, write_documents
from trailblazer.config import load_config
from trailblazer.paths import CONFIG_NAME
from trailblazer.pipeline.chunk import chunk_run
from trailblazer.record.folder import JOURNAL
from trailblazer.record.verification import verify_folder

MOST_RESUMES = 10
LONGEST_SECONDS = 90.0
WORK = [sys.executable, "-I", "-S", str(Path(__file__).with_name("work.py"))]
KINDS = ("plain", "plain", "plain", "fork", "daemon", "stubborn")


class Round(abc.ABC):
    """What all lanes share. `clock` is the dispatcher's own, where it can be set wrong."""

    lane = ""

    def __init__(self, folder: Path, chance: random.Random, server: OwnServer, dsn: str, figures: Figures) -> None:
        self.chance, self.server, self.figures = chance, server, figures
        (folder / CONFIG_NAME).parent.mkdir(parents=True)
        (folder / CONFIG_NAME).write_text("embed: {batch_size: 2}\ndispatch: {workers: 2}\n")
        self.project = Project(folder, dsn)
        self.clock: WrongClock | None = None
        self.words: list[str] = []
        self.resume_words: list[str] = []
        self._said = 0

    @property
    def folder(self) -> Path | None:
        """The newest dispatch folder."""
        return self.project.dispatches[-1] if self.project.dispatches else None

    def begin(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start trailblazer in a session of its own; what it says stays in the folder."""
        self._said += 1
        said = self.project.folder.parent / f"{self.project.folder.name} said {self._said}.txt"
        environment = self.project.settings()
        if self.clock is not None:
            environment |= self.clock.environment
        with said.open("wb") as file:
            file.write((" ".join(words) + "\n").encode())
            file.flush()
            return subprocess.Popen(
                [*TRAILBLAZER, *words],
                cwd=self.project.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Return the exit code of a dispatcher; one that does not end is killed and counted."""
        try:
            return process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self.figures.find("hung", 1, f"{self.where()}: {process.args!r}")
            process.kill()
            return process.wait()

    def where(self) -> str:
        """Name the round for a person who looks for it."""
        return f"{self.lane} round in {self.project.folder}"

    def carry(self, words: list[str], harm: Callable[[Round, subprocess.Popen[bytes]], None] | None = None) -> int:
        """Run a dispatcher, harm it, judge what it left, and return its exit code."""
        good, before = self.good(), self.begun()
        process = self.begin(words)
        if harm is not None:
            harm(self, process)
        code = self.end(process)
        now = self.begun()
        self.figures.find("again", sorted(name for name in good if now[name] > before[name]), self.where())
        for folder in filter(is_closed, self.project.dispatches):
            self.figures.find("survivors", survivors(folder), self.where())
            if (folder / "SHA256SUMS").is_file():
                self.figures.find("unsealed", verify_folder(folder, None, "nobody").findings, self.where())
        return code

    def finish(self) -> None:
        """Resume until all is well, and count what is not."""
        if not any(_has_plan(folder) for folder in self.project.dispatches):
            self.carry(self.words)
        for folder in filter(_has_plan, self.project.dispatches):
            codes: list[int] = []
            while len(codes) < MOST_RESUMES and (not codes or codes[-1]):
                codes.append(self.carry([*self.resume_words, folder.name]))
            if codes[-1]:
                self.figures.findings.append(f"resumes ended with {codes} in {self.where()}")
            proved = self.project.run("verify", folder.name)
            self.figures.find("unsealed", proved.code and [folder.name, proved.out], self.where())
        self.judge()
        self.figures.lanes[self.lane] += 1

    @property
    def can_resume(self) -> bool:
        """Whether the newest dispatch came so far that it can be resumed."""
        return self.folder is not None and _has_plan(self.folder)

    @abc.abstractmethod
    def good(self) -> set[str]:
        """Return what has a good result now."""

    @abc.abstractmethod
    def begun(self) -> Counter[str]:
        """Return how many attempts of each there were."""

    @abc.abstractmethod
    def judge(self) -> None:
        """Count what is lost or doubled at the end."""


class ItemsRound(Round):
    """A batch of items, some of which leave children and daemons behind."""

    lane = "items"
    planned = 30

    def prepare(self) -> None:
        """Write the items."""
        self.diary = Diary(self.project.folder.with_name(self.project.folder.name + " diary"))
        items = [
            {"kind": self.chance.choice(KINDS), "seconds": round(self.chance.uniform(0, 0.3), 3)}
            for _ in range(self.planned)
        ]
        file = self.project.folder / "items.json"
        file.write_text(json.dumps(items))
        fields = ["{{ index }}", "{{ attempt }}", "{{ item.kind }}", "{{ item.seconds }}"]
        flags = ["--max-workers", "6", "--skip-preflight", "--monitor-interval", "0", "--timeout", "60"]
        self.words = ["batch", "run", "--items", str(file), *flags, "--", *WORK, str(self.diary.folder), *fields]
        self.resume_words = ["batch", "run", "--resume"]

    def good(self) -> set[str]:
        """Return the items that are settled well in the journal, or whole on the disk."""
        folders = self.project.dispatches
        return {str(index) for folder in folders for index in settled_well(folder) | whole_on_disk(folder)}

    def begun(self) -> Counter[str]:
        """Return how often each item really ran."""
        return Counter({str(index): count for index, count in self.diary.begun().items()})

    def judge(self) -> None:
        """Every item has a good result, and no two attempts of one lived at once."""
        self.figures.items += self.planned
        settled = {index for folder in self.project.dispatches for index in settled_well(folder)}
        self.figures.find("lost", sorted(set(range(self.planned)) - settled), self.where())
        self.figures.find("doubled", self.diary.beside(), self.where())


class EmbedRound(Round):
    """A plan of runs, embedded by `dispatch plan=FILE` or found by `run`."""

    lane = "embed"
    planned = 8
    documents = 5

    def prepare(self, service: WatchingServer, *, by_run: bool) -> None:
        """Write the runs, and chunk them where a plan needs that."""
        self.lane = "run" if by_run else "dispatch"
        self.service, self._doubled = service, len(service.doubled)
        self.project.environment.update(
            TRAILBLAZER_EMBED_PROVIDER="openai",
            TRAILBLAZER_EMBED_BASE_URL=service.base_url,
            TRAILBLAZER_EMBED_MODEL="tiny",
            TRAILBLAZER_EMBED_DIMENSION="8",
        )
        prefix = self.project.folder.name.replace(" ", "-")
        self.runs = [f"{prefix}-{number}" for number in range(self.planned)]
        config = load_config(start=self.project.folder)
        for run in self.runs:
            write_documents(self.project.folder, run, texts_of(run, self.documents))
            if not by_run:
                chunk_run(config.places, config, run)
        if by_run:
            self.words = ["run", f"runs={prefix}-*"]
        else:
            self.project.write_plan(*self.runs)
            self.words = ["dispatch", "plan=list.txt", *self.chance.choice([[], ["skip-unchanged"]])]
        self.words += ["retries=3", "--monitor-interval", "0"]
        self.resume_words = ["dispatch", "--monitor-interval", "0", "--resume"]

    def good(self) -> set[str]:
        """Return the steps of each dispatch that are settled well in its journal."""
        return {f"{folder.name}#{index}" for folder in self.project.dispatches for index in settled_well(folder)}

    def begun(self) -> Counter[str]:
        """Return how many attempts of each step its journal knows."""
        return Counter(
            {
                f"{folder.name}#{index}": count
                for folder in self.project.dispatches
                for index, count in started(folder).items()
            }
        )

    def judge(self) -> None:
        """Every chunk of every run has its vector once, and no text was asked for twice at once."""
        self.figures.items += self.planned
        vectors = self.project.vectors()
        rows = dict(self.project.query("SELECT run_id, status FROM processed_runs WHERE run_id = ANY(%s)", self.runs))
        lost = [
            (run, rows.get(run), len(vectors.get(run, ())))
            for run in self.runs
            if rows.get(run) != "embedded" or vectors.get(run) != self.project.chunks(run)
        ]
        self.figures.find("lost", lost, self.where())
        twice = self.project.query("SELECT run_id, chunk_id FROM chunk_embeddings GROUP BY 1, 2 HAVING count(*) > 1")
        self.figures.find("doubled", twice + self.service.doubled[self._doubled :], self.where())


def _has_plan(folder: Path) -> bool:
    """Say whether a dispatch came so far that it can be resumed."""
    with contextlib.suppress(OSError, ValueError):
        manifest = json.loads((folder / "dispatch_manifest.json").read_text())
        return bool(manifest["inputs"]) and (folder / JOURNAL).is_file()
    return False
