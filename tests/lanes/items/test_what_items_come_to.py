"""One item through a command: what the command may do, and what the batch keeps (P1, P4, P5, rule 6)."""

from __future__ import annotations

import json
import os
import signal
import stat

import pytest

from lanes.embed.project import wait_for
from lanes.items.batches import PYTHON, Batches
from trailblazer.processes.identity import start_ticks

GO = "--skip-preflight "


def test_a_batch_keeps_what_each_item_did(batches: Batches) -> None:
    """Each attempt has a folder with the command, its logs and its result; the folder verifies (P4)."""
    done = batches.batch(["a b", "c"], "exit", "0", "said of {{ item }}")
    assert 0 == done.code, done.err
    assert ["success", "success"] == batches.outcomes
    assert "said of a b\n" == (batches.attempt() / "worker.stderr").read_text()
    result = batches.result()
    assert "said of a b" == result["order"]["argv"][-1]
    assert (0, None) == (result["exit_code"], result["signal"])
    assert result["peak_memory_kib"] > 0
    assert result["duration_ms"] > 0
    assert 0 == stat.S_IMODE(batches.attempt().stat().st_mode) & 0o077
    verified = batches.run("verify", "latest")
    assert 0 == verified.code, verified.out


@pytest.mark.parametrize("code", [1, 2, 77, 126, 127, 255])
def test_an_exit_code_is_the_items_own(batches: Batches, code: int) -> None:
    """The reason of a failed item is the exit code and the last line of its worker (rule 4)."""
    done = batches.batch(["x"], "exit", str(code), "the disk is on fire", flags=GO)
    assert 6 == done.code
    assert f"exit {code}: the disk is on fire" == batches.why()
    assert code == batches.result()["exit_code"]
    assert "the disk is on fire" in done.err


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP])
def test_a_worker_that_dies_by_a_signal_is_an_error(batches: Batches, number: int) -> None:
    """A signal ends one item only, and the reason names the number of the signal."""
    done = batches.batch(["x", "y"], "die", str(int(number)), flags=GO)
    assert 6 == done.code
    assert [f"killed by signal {int(number)}"] * 2 == [batches.why(0), batches.why(1)]
    assert int(number) == batches.result()["signal"]


def test_a_time_out_ends_the_whole_group(batches: Batches) -> None:
    """A time-out ends the whole process group, also a grandchild that ignores TERM (P5)."""
    note = batches.folder / "pid"
    done = batches.batch(["x"], "fork", str(note), flags=GO + "--timeout 2")
    assert 6 == done.code
    assert ["timeout"] == batches.outcomes
    assert "ended after" in batches.why()
    assert start_ticks(int(note.read_text())) is None


def test_a_process_that_a_worker_left_is_ended(batches: Batches) -> None:
    """When a worker ends well and leaves a process in its group, that process is ended (P5)."""
    note = batches.folder / "pid"
    assert 0 == batches.batch(["x"], "orphan", str(note), flags=GO).code
    wait_for(lambda: start_ticks(int(note.read_text())) is None, "the orphan is gone")


def test_a_multiple_of_the_median_is_a_limit(batches: Batches) -> None:
    """With `--timeout 3x` an item that takes far longer than the others is ended (P1)."""
    done = batches.batch(["exit"] * 8 + ["hang"], "{{ item }}", "0", flags=GO + "--timeout 3x --max-workers 1")
    assert 6 == done.code
    assert ["success"] * 8 + ["timeout"] == batches.outcomes


def test_a_missing_command_is_each_items_error(batches: Batches) -> None:
    """A command that does not exist is the error of each item, and the batch ends in order (P5)."""
    file = batches.folder / "items"
    file.write_text("a\nb\n")
    done = batches.run("batch", "run", "--items", str(file), "--skip-preflight", "--", "no-such-command", "{{ item }}")
    assert 6 == done.code
    assert ["error", "error"] == batches.outcomes
    assert "command not found: no-such-command" == batches.why()
    assert ["no-such-command", "a"] == batches.result()["order"]["argv"]


def test_an_argument_list_that_is_too_long_is_that_items_error(batches: Batches) -> None:
    """An item whose argument list is too long for the system fails, and the next one runs (P5)."""
    done = batches.batch(["x" * 200_000, "short"], "exit", "0", "{{ item }}", flags=GO)
    assert 6 == done.code
    assert ["error", "success"] == batches.outcomes
    assert "too long" in batches.why()


def test_an_item_with_a_nul_is_that_items_error(batches: Batches) -> None:
    """An item with a NUL character fails, and the next one runs."""
    assert 6 == batches.batch(["a\0b", "c"], "exit", "0", "{{ item }}", flags=GO).code
    assert ["error", "success"] == batches.outcomes
    assert "NUL" in batches.why()


def test_a_task_folder_that_cannot_be_made_is_that_items_error(batches: Batches) -> None:
    """An item whose folder cannot be made fails and says why (P5)."""
    flags = GO + "--max-workers 1"
    done = batches.batch(["first", "second", "third"], "answer", "{{ output_file }}/../../../task_1", "{}", flags=flags)
    assert 6 == done.code, done.err
    assert "error" == batches.outcomes[1]
    assert "cannot keep a record of it" in batches.why(1)


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_gigabyte_of_output_does_not_fill_the_disk(batches: Batches, stream: str) -> None:
    """A log is cut at its cap while the item runs, and the result says so (P4)."""
    done = batches.batch(["x"], "write", str(1 << 30), stream, flags=GO + "--log-cap 1M")
    assert 0 == done.code, done.err
    log = batches.attempt() / ("worker.stdout" if stream == "1" else "worker.stderr")
    assert log.stat().st_size <= 1 << 20
    assert batches.result()["truncated"]


def test_without_worker_logs_only_the_result_is_kept(batches: Batches) -> None:
    """With --no-worker-logs the folder of an attempt holds the result and nothing else (P4)."""
    assert 0 == batches.batch(["x"], "write", "1000", flags=GO + "--no-worker-logs").code
    assert ["result.json"] == sorted(file.name for file in batches.attempt().iterdir())


def test_no_escape_sequence_reaches_the_terminal(batches: Batches) -> None:
    """The output of a worker is made plain on the screen and in events, results and summary (rule 6)."""
    done = batches.batch(["x", "y"], "escapes", "1", flags="--preflight go --results csv")
    assert 6 == done.code
    for text in (done.out, done.err, *(file.read_text() for file in batches.dispatch.glob("*.ndjson"))):
        assert not {"\x1b", "\x9b", "\x07", "\x08"} & set(text)
    assert "\x1b" not in (batches.dispatch / "summary.json").read_text()
    assert "\x1b" in (batches.attempt() / "worker.stdout").read_text()


def test_the_output_must_be_what_was_expected(batches: Batches) -> None:
    """With `--expect json` a missing or broken document is an error, and a whole one a success (P1)."""
    assert 6 == batches.batch(["x"], "half", "{{ output_file }}", flags=GO + "--expect json").code
    assert batches.why().startswith("the output is not JSON")
    assert 6 == batches.batch(["x"], "exit", "0", flags=GO + "--expect json").code
    assert "there is no output" == batches.why()
    document = json.dumps({"status": "partial", "found": 3})
    done = batches.batch(["x"], "answer", "{{ output_file }}", document, flags=GO + "--expect json --results json")
    assert 0 == done.code
    assert "partial" == batches.summary["items"][0]["domain_status"]
    assert ("success", "partial") == (done.events[0]["status"], done.events[0]["domain_status"])
    item = batches.summary["items"][0]
    assert ("task_0/attempt_1", 64, 0) == (item["folder"], len(item["output_sha256"]), item["exit_code"])
    assert item.items() >= {"started": batches.result()["started"], "attempt": 1}.items()


@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_an_output_that_is_not_a_file_is_not_read(batches: Batches, what: str) -> None:
    """A folder, a link or a pipe in the place of the output file is an error, and is not read (rule 6)."""
    done = batches.batch(["x"], what, "{{ output_file }}", flags="--preflight go --expect json")
    assert 6 == done.code, done.err
    assert ["error"] == batches.outcomes
    assert "root:" not in done.err + done.out
    assert 0 == batches.run("verify", "latest").code


def test_the_output_must_follow_the_schema(batches: Batches) -> None:
    """With --expect-schema an output that breaks the schema is an error; a broken schema is refused (exit 3)."""
    schema = batches.folder / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["found"]}))
    flags = f"{GO} --expect-schema schema.json"
    assert 6 == batches.batch(["x"], "answer", "{{ output_file }}", '{"status": "done"}', flags=flags).code
    assert "'found' is a required property" in batches.why()
    assert 0 == batches.batch(["x"], "answer", "{{ output_file }}", '{"found": 1}', flags=flags).code
    schema.write_text('{"type": "no-such-type"}')
    assert 3 == batches.batch(["x"], "answer", "{{ output_file }}", "{}", flags=flags).code


def test_words_never_pass_through_a_shell(batches: Batches) -> None:
    """An item that looks like a command stays one word, and --shell quotes it (P1, rule 6)."""
    trap = batches.folder / "trap"
    item = f"; touch '{trap}' $(touch '{trap}') `touch '{trap}'` | & \n \" '"
    assert 0 == batches.batch([item], "exit", "0", "{{ item }}", flags=GO).code
    assert item == batches.result()["order"]["argv"][-1]
    assert 0 == batches.batch([item], "exit", "0", "{{ item }}", ">/dev/null", flags=GO + "--shell").code
    assert not trap.exists()


def test_nothing_of_trailblazer_leaks_into_a_worker(batches: Batches) -> None:
    """A worker has an empty stdin, three descriptors, a session of its own and no ignored signal."""
    script = (
        "import os, signal, json; print(json.dumps([sorted(os.listdir('/proc/self/fd'))[:-1],"
        " os.getsid(0) == os.getpid(), os.read(0, 1).decode(), signal.getsignal(signal.SIGINT) is not signal.SIG_IGN]))"
    )
    file = batches.folder / "items"
    file.write_text("x\n")
    words = ["batch", "run", "--items", str(file), "--skip-preflight", "--", PYTHON, "-c", script]
    assert 0 == batches.run(*words).code
    assert [["0", "1", "2"], True, "", True] == json.loads((batches.attempt() / "worker.stdout").read_text())


def test_each_retry_has_a_number_of_its_own(batches: Batches) -> None:
    """--retries tries a failed item again, and each attempt keeps a folder of its own (P4)."""
    done = batches.batch(["x"], "fail_until", "2", "{{ attempt }}", flags=GO + "--retries 2")
    assert 0 == done.code, done.err
    assert ("error", "success") == (batches.result(0, 1)["status"], batches.result(0, 2)["status"])
    assert not batches.attempt(0, 3).exists()
    assert ["success"] == batches.outcomes


@pytest.mark.proof
@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted")
def test_a_full_disk_stops_the_batch_and_loses_nothing(batches: Batches) -> None:
    """On a full disk the batch stops with exit 8, and a resume finishes it when there is room (G6)."""
    from plumbum.cmd import mount, umount

    batches.var.mkdir()
    mount["-t", "tmpfs", "-o", "size=600k", "tmpfs", str(batches.var)]()
    try:
        done = batches.batch(range(300), "write", "9000", flags=GO)
        assert 8 == done.code, done.err
        assert "full" in done.err
        mount["-o", "remount,size=40m", str(batches.var)]()
        again = batches.run("batch", "run", "--resume", "latest")
        assert 0 == again.code, again.err
        assert ["success"] * 300 == batches.outcomes
    finally:
        umount["-l", str(batches.var)]()
