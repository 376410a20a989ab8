"""A new project for each test, with a tracker and agents."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanes.issues.nights import Nights
from trailblazer.paths import CONFIG_NAME

PROMPT = """You work on the issue {{ id }} now, attempt {{ attempt }} in {{ repo }} on {{ branch }}.
{{ title }}
{{ description }}
{{ labels }} {{ dependencies }} {{ priority }}
"""


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    """A project without a database: a night needs none."""
    folder = tmp_path / "pro ject é"
    (folder / CONFIG_NAME).parent.mkdir(parents=True)
    (folder / "prompts").mkdir()
    (folder / "prompts" / "100_fix_issue.md").write_text(PROMPT)
    return Nights(folder, "null", {"AGENT_FOLDER": str(folder)})
