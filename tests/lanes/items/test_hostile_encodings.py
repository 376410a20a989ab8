"""What an encoding cannot show is escaped, by every verb, on stdout and on stderr (issue 10: 15)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest

from lanes.items.batches import HOSTILE, Batches
from trailblazer.words.grammar import VERBS

pytestmark = pytest.mark.proof

SNOWMAN = "caf\xe9 \u2603 \U0001f600"
POOR = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "C": {"LC_ALL": "C", "LANG": "C"},
    "C, and nothing mends it": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
poor = pytest.mark.parametrize("environment", POOR.values(), ids=POOR.keys())


def words(batches: Batches, *flags: str) -> list[str]:
    """Return the words of a batch with one good and one bad item, that say a snowman and half a character."""
    file = batches.folder / "items.json"
    file.write_text(json.dumps([SNOWMAN, "x\udcff"]))
    say = [*HOSTILE, "exit", "{{ index }}", SNOWMAN + " {{ index }}"]
    return ["batch", "run", "--items", str(file), "--skip-preflight", "--max-workers", "1", *flags, "--", *say]


@poor
def test_a_batch_says_everything(batches: Batches, environment: dict[str, str]) -> None:
    """Words and events come whole: what cannot be encoded is escaped, and an event is JSON all the same."""
    done = batches.run(*words(batches, "--verbose", "--events", "-"), **environment)
    assert 6 == done.code, done.err
    assert "Traceback" not in done.err
    settled = [event for event in done.events if event["event"] == "items.settle"]
    assert [SNOWMAN[0], "x"] == [event["run_id"][0] for event in settled]
    assert SNOWMAN == settled[0]["run_id"]
    assert any(shown in done.err.lower() for shown in ("\\u2603", "\u2603", "dce2")), done.err
    assert "Seal: sha256:" in done.err


@poor
def test_results_are_what_they_are(batches: Batches, environment: dict[str, str]) -> None:
    """The results of items are JSON and CSV in any encoding."""
    done = batches.run(*words(batches, "--results", "json"), **environment)
    assert [SNOWMAN, "x\udcff"] == [event["item"] for event in done.events]
    done = batches.run(*words(batches, "--results", "csv"), **environment)
    assert 6 == done.code, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert ["success", "error"] == [row["status"] for row in rows]
    assert rows[0]["item"] in {SNOWMAN, SNOWMAN.encode("ascii", "backslashreplace").decode(),
                               "caf\xe9 \\u2603 \\ud83d\\ude00", "caf\\u00e9 \\u2603 \\ud83d\\ude00"}  # fmt: skip


@pytest.fixture
def with_database(batches: Batches) -> Iterator[Batches]:
    """Batches in a project whose server is stopped at the end: `normalize` starts it."""
    yield batches
    assert 0 == batches.run("db", "stop").code


@pytest.mark.parametrize("name", ["strict", "C, and nothing mends it"])
def test_every_verb_says_its_lines(with_database: Batches, name: str) -> None:
    """Each verb ends with its code and without a traceback, about documents and folders that hold a snowman."""
    batches, environment = with_database, POOR[name]
    source = batches.folder / "docs"
    source.mkdir()
    (source / "\u2603.md").write_text(f"# {SNOWMAN}\n\ntext {SNOWMAN}\n")
    (batches.folder / "prompts").mkdir()
    (batches.folder / "prompts" / "001_\u2603.md").write_text(f"# {SNOWMAN}\n")
    batches.run(*words(batches))
    asked = [
        ["verify", "latest"], ["verify", "latest", "--json"], ["monitor", "latest", "--once"], ["config", "show"],
        ["batch", "summary"], ["logs", "prune"], ["prompts", "index"], ["db", "status"], ["verify", SNOWMAN],
        ["normalize", str(source), "--run", "run-1"], ["chunk", "run-1"], ["embed", "preflight", "run-1"],
        ["embed", "plan-preflight"], ["embed", "manifest", "run-1"], ["dispatch", "--dry-run"], [SNOWMAN],
        ["dispatch", f"--plan={SNOWMAN}"], ["batch", "run", "--items", SNOWMAN, "--", "true"],
    ]  # fmt: skip
    for asking in [*asked, *([verb, "--help"] for verb in sorted(VERBS)[:3])]:
        done = batches.run(*asking, **environment)
        assert "Traceback" not in done.err, (asking, done.err)
        assert "a bug" not in done.err, (asking, done.err)
        assert done.code in {0, 2, 3, 4, 5, 8}, (asking, done)
        assert done.out + done.err, asking
