"""What a signal cost in tokens: as its agent says, or by the size of what was written."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trailblazer.paths import timestamp

BYTES_PER_TOKEN = 4  # when nothing better is known


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """The tokens of one dispatch. Sizes are in bytes; `begun` is a moment of the monotonic clock, in seconds."""

    case_id: str
    step: str
    prompt_bytes: int
    prompt_tokens: int
    timestamp: str
    begun: float
    artifact_bytes: int = 0
    artifact_tokens: int = 0
    wall_clock_ms: int = 0
    cost_usd: float = 0.0

    def ended(self, artifact: bytes, said: Mapping[str, Any] | None = None) -> TokenRecord:
        """Return the record with what came back. `said` is the usage that the agent named: tokens and US dollars."""
        said = said or {}
        return dataclasses.replace(
            self,
            artifact_bytes=len(artifact),
            artifact_tokens=_amount(said, "output_tokens", _tokens(len(artifact))),
            prompt_tokens=_amount(said, "input_tokens", self.prompt_tokens),
            wall_clock_ms=round(1000 * (time.monotonic() - self.begun)),
            cost_usd=float(said.get("cost_usd", 0.0)),
        )

    def priced(self, cost_usd: float) -> TokenRecord:
        """Return the record with a cost, in US dollars."""
        return dataclasses.replace(self, cost_usd=cost_usd)

    def document(self) -> dict[str, Any]:
        """Return the record as a line of tokens.ndjson."""
        found = dataclasses.asdict(self)
        del found["begun"]
        return found


def record_of(case_id: str, step: str, prompt: str) -> TokenRecord:
    """Return the record of a dispatch that begins now."""
    size = len(prompt.encode("utf-8", "replace"))
    return TokenRecord(case_id, step, size, _tokens(size), timestamp(), time.monotonic())


def _tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _amount(said: Mapping[str, Any], name: str, otherwise: int) -> int:
    return int(said.get(name, otherwise))
