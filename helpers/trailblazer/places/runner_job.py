"""What is kept of a job of a runner in the folder of its attempt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trailblazer import schemas
from trailblazer.providers.order import Order, read_order

JOB = "runner_job.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a job in the folder of its attempt, so that a later process can go on.

    `before` names the run that the runner knew before the start, `run` that of this attempt, empty until it is known.
    `began` and `deadline` are in epoch seconds.
    """

    order: Order
    mark: str
    before: str = ""
    run: str = ""
    began: float = 0.0
    deadline: float | None = None

    def write(self) -> None:
        """Write it whole."""
        document = {
            "order": self.order.document(), "mark": self.mark, "before": self.before, "run": self.run,
            "began": self.began, "deadline": self.deadline,
        }  # fmt: skip
        schemas.publish("runner_job", document, Path(self.order.folder) / JOB)


def read_kept(folder: Path) -> Kept:
    """Return what is kept of a job; what is not there or breaks its schema is refused with DocumentInvalid."""
    document = schemas.read_json(folder / JOB)
    schemas.check("runner_job", document, JOB)
    return Kept(**{**document, "order": read_order(document["order"])})
