"""Agents as data: their words, their configuration, and what is made of any output whatever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailblazer.config import load_config
from trailblazer.errors import ConfigWrong, WordsWrong
from trailblazer.paths import CONFIG_NAME
from trailblazer.providers.agents import (
    KNOWN,
    RUNNER,
    Agent,
    Answer,
    Kind,
    load_agents,
    mistakes_in,
    read_answer,
    shipped_entries,
)
from trailblazer.providers.selectors import events_in

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SHIPPED = {name: entry for name, entry in shipped_entries().items() if entry.get("kind") != RUNNER}
LIMIT = "You've hit your usage limit"


def agents_with(folder: Path, text: str) -> dict[str, Agent]:
    """Return the agents of a project whose configuration is this text."""
    file = folder / CONFIG_NAME
    file.parent.mkdir()
    file.write_text(text)
    return load_agents(load_config(start=folder))


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agent]:
    """The shipped agents, and those of a configuration that adds its own."""
    return agents_with(tmp_path_factory.mktemp("project"), (FIXTURES / "more_agents.yaml").read_text())


def lines(*events: dict[str, Any]) -> bytes:
    """Return events as an agent prints them."""
    return b"\n".join(json.dumps(event).encode() for event in events) + b"\n"


@pytest.mark.parametrize("name", shipped_entries())
def test_shipped_entries_are_right(name: str) -> None:
    """What is shipped holds against the schema that the configuration is held against."""
    assert [] == list(mistakes_in(shipped_entries()[name]))


def test_words_are_for_what_is_known(agents: dict[str, Agent]) -> None:
    """Optional words appear when their value is known, in the order of the entry; the prompt's words are the last."""
    claude = agents["claude"].command
    assert claude == agents["claude"].words({})
    assert (*claude, "--model", "m", "--max-turns", "3") == agents["claude"].words({"turns": "3", "model": "m"})
    assert (*agents["codex"].command, "-") == agents["codex"].words({"schema": "{}"})
    schema = agents["codex"].words({"schema": "{}", "schema_file": "s.json"})
    assert (*agents["codex"].command, "--output-schema", "s.json", "-") == schema
    assert ("parrot", "--quiet", "--", "-say {model}") == agents["parrot"].words({"prompt": "-say {model}"})


def test_a_working_folder_is_said_where_a_cli_wants_it(agents: dict[str, Agent]) -> None:
    """codex and opencode have an option for it; a codex session goes on in the folder that it has."""
    assert (*agents["codex"].command, "-C", "/t", "-") == agents["codex"].words({"tree": "/t"})
    assert ("--dir", "/t") == agents["opencode"].words({"tree": "/t"})[-2:]
    assert agents["claude"].command == agents["claude"].words({"tree": "/t"})
    resumed = agents["codex"].words({"tree": "/t", "resume": "old"})
    assert (*agents["codex"].resume_command, "old", "-") == resumed


def test_a_session_is_resumed(agents: dict[str, Agent]) -> None:
    """An id to resume is used in the place of the id of a new session, with a command of its own where there is one."""
    both = {"session": "new", "resume": "old"}
    assert (*agents["claude"].command, "--resume", "old") == agents["claude"].words(both)
    assert (*agents["codex"].resume_command, "old", "-") == agents["codex"].words(both)


@pytest.mark.parametrize("value", ["-y", "--yolo", "a\0b"])
def test_a_value_is_never_an_option(agents: dict[str, Agent], value: str) -> None:
    """A model or an id that begins with a dash, or that no argv can hold, is refused."""
    with pytest.raises(WordsWrong, match="is no model"):
        agents["claude"].words({"model": value})


def test_a_command_that_needs_a_value_says_so(tmp_path: Path) -> None:
    """A {name} in the command itself must be known."""
    agent = agents_with(tmp_path, "providers: {agents: {x: {command: [x, '{model}'], output: text}}}")["x"]
    assert ("x", "m") == agent.words({"model": "m"})
    with pytest.raises(WordsWrong, match="the agent x needs a model"):
        agent.words({})


def test_a_fifth_agent_is_one_entry(agents: dict[str, Agent]) -> None:
    """An agent that prints plain text is read by its exit code; a kind can have a code of its own."""
    parrot = agents["parrot"]
    assert Answer(Kind.OK, "hello\n") == read_answer(parrot, b"hello\n", b"", 0, None)
    assert Answer(Kind.OK, "[1]", [1]) == read_answer(parrot, b"[1]", b"", 0, None, wants_data=True)
    assert "without the structured data" in read_answer(parrot, b"hello", b"", 0, None, wants_data=True).reason
    failed = read_answer(parrot, b"hel", b"no seeds\n", 1, None)
    assert Answer(Kind.FAILED, "hel", None, "parrot: exit 1 without a final event: no seeds") == failed
    assert Kind.QUOTA is read_answer(parrot, b"", b"", 75, None).kind
    assert Kind.STOPPED is read_answer(parrot, b"hel", b"", None, 15).kind


def test_an_entry_replaces_a_shipped_one(tmp_path: Path) -> None:
    """The same name in the configuration takes the place of the shipped agent; the others stay."""
    found = agents_with(tmp_path, "providers: {agents: {claude: {command: [my-claude], output: text}}}")
    assert ("my-claude",) == found["claude"].words({"model": "m"})
    assert set(SHIPPED) == set(found)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("7", "7 is not of type 'object'"),
        ("{}", "'command' is a required property"),
        ("{command: [x]}", "'final' is a required property"),
        ("{command: [x], output: text, promt: stdin}", "'promt' was unexpected"),
        ("{command: [x, '{modle}'], output: text}", "$.command: {modle} is not known; there are: model, "),
        ("{command: [x], output: text, optional: {modle: [a]}}", "'modle' is not one of "),
        ("{command: [x], output: text, environment: {A: 1}}", "$.environment.A: 1 is not of type 'string'"),
        ("{command: [x], output: text, prompt: argument}", "$.prompt_words: no word holds {prompt}"),
        ("{command: [x], output: text, prompt: file, prompt_words: [-f]}", "no word holds {prompt_file}"),
        ("{command: [x], output: text, kinds: [{kind: great, exit: [0]}]}", "$.kinds[0].kind: 'great' is not one of "),
        ("{command: [x], final: {a: {like: b}}, find: {}, kinds: []}", "'like' was unexpected"),
        ("{command: [x], final: {}, find: {text: {pth: a}}, kinds: []}", "$.find.text: 'path' is a required property"),
        ("{command: [x], final: {1: a}, find: {}, kinds: []}", "1 is not of type 'string'"),
    ],
)
def test_a_mistake_in_an_entry_is_named(tmp_path: Path, entry: str, said: str) -> None:
    """A mistake is refused with exit 3, the line of the configuration, the agent's name and what is wrong."""
    with pytest.raises(ConfigWrong) as refused:
        agents_with(tmp_path, f"\nproviders:\n  agents: {{mine: {entry}}}\n")
    whole = f"{refused.value.what}\n{refused.value.hint}"
    assert refused.value.what.startswith(f"{tmp_path / CONFIG_NAME}:3: providers.agents.mine: ")
    assert said in whole


def test_a_name_that_no_flag_can_hold_is_refused(tmp_path: Path) -> None:
    """The name of an agent is a plain word."""
    with pytest.raises(ConfigWrong, match=r"providers\.agents"):
        agents_with(tmp_path, "providers: {agents: {'my agent': {command: [x], output: text}}}")


@pytest.mark.parametrize("name", [*SHIPPED, "gemini-document"])
@pytest.mark.parametrize("exit_code", [0, 1])
def test_nothing_printed_is_no_success(agents: dict[str, Agent], name: str, exit_code: int) -> None:
    """Exit 0 without a final event is a failure that says so."""
    answer = read_answer(agents[name], b"", b"", exit_code, None)
    assert Answer(Kind.FAILED, reason=f"{name}: exit {exit_code} without a final event") == answer


@pytest.mark.parametrize(
    ("exit_code", "signal", "kind"),
    [(0, None, Kind.OK), (143, None, Kind.OK), (None, 15, Kind.OK), (1, None, Kind.FAILED), (None, 11, Kind.FAILED)],
)
def test_a_good_final_event_survives_our_ending(
    agents: dict[str, Agent], exit_code: int | None, signal: int | None, kind: Kind
) -> None:
    """A process that stayed after its result and was ended is ok; one that failed or crashed after it is not."""
    done = lines({"type": "result", "is_error": False, "result": "READY"})
    assert kind is read_answer(agents["claude"], done, b"", exit_code, signal).kind


def test_an_agent_that_quotes_a_limit_is_at_none(agents: dict[str, Agent]) -> None:
    """Quota messages in an agent's text, in its tools' output and on stderr mean nothing."""
    codex = lines(
        {"type": "item.completed", "item": {"type": "command_execution", "aggregated_output": f"ERROR: {LIMIT}"}},
        {"type": "item.completed", "item": {"type": "agent_message", "text": LIMIT}},
        {"type": "item.completed", "item": {"type": "error", "message": LIMIT}},
        {"type": "turn.failed", "error": {"message": f"the tool said: {LIMIT}"}},
    )
    assert Kind.FAILED is read_answer(agents["codex"], codex, LIMIT.encode(), 1, None).kind
    error = {"type": "tool_not_found", "message": "exhausted your daily quota"}
    gemini = lines(
        {"type": "tool_result", "status": "error", "error": error},
        {"type": "result", "status": "error", "error": {"message": "a tool failed"}},
    )
    assert Kind.FAILED is read_answer(agents["gemini"], gemini, b"", 1, None).kind
    claude = lines({"type": "result", "is_error": True, "result": "usage_limit_reached", "api_error": "other"})
    assert Kind.FAILED is read_answer(agents["claude"], claude, b"", 1, None).kind


def test_a_refused_command_of_codex_is_counted(agents: dict[str, Agent]) -> None:
    """A command that codex declined is a refused permission, although the turn was completed."""
    declined = {"type": "item.completed", "item": {"id": "i", "type": "command_execution", "status": "declined"}}
    answer = read_answer(agents["codex"], lines(declined, {"type": "turn.completed"}), b"", 0, None)
    assert (Kind.REFUSED, 1, "codex: 1 tool call refused") == (answer.kind, answer.denied, answer.reason)


def test_the_session_log_says_when_the_limit_resets(agents: dict[str, Agent], tmp_path: Path) -> None:
    """Codex's own log has the instant; a log that is no file, and a session that is a path, are not followed."""
    logs = tmp_path / "sessions" / "2026" / "11" / "21"
    logs.mkdir(parents=True)
    event = {"payload": {"type": "token_count", "rate_limits": {"primary": {"resets_at": 1795271578}}}}
    (logs / "rollout-x-abc.jsonl").write_bytes(b"half a line}\n" + lines(event))
    (logs / "rollout-x-link.jsonl").symlink_to(logs / "rollout-x-abc.jsonl")

    def resets_at(session: str, **environment: str) -> float | None:
        printed = lines(
            {"type": "thread.started", "thread_id": session}, {"type": "turn.failed", "error": {"message": LIMIT}}
        )
        answer = read_answer(agents["codex"], printed, b"", 1, None, environment)
        assert Kind.QUOTA is answer.kind
        return answer.resets_at

    assert 1795271578 == resets_at("abc", CODEX_HOME=str(tmp_path))
    assert None is resets_at("other", CODEX_HOME=str(tmp_path))
    assert None is resets_at("link", CODEX_HOME=str(tmp_path))
    assert None is resets_at("*", CODEX_HOME=str(tmp_path))
    assert None is resets_at("abc")
    tmp_path.rename(tmp_path.with_name(".codex"))
    assert 1795271578 == resets_at("abc", HOME=str(tmp_path.parent))


KEYS = st.sampled_from(["type", "result", "is_error", "message", "item", "text", "usage", "stats", "part", "errors"])
ODD: list[Any] = [None, True, -1.5, 10**30, "", "error", "result", "\ud83d", [], [[]], {}, {"0": {}}, [{"type": 1}]]
LEAVES = st.sampled_from(ODD) | st.text(max_size=8)
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(KEYS, LEAVES, max_size=3)
OUTPUTS = st.binary(max_size=100) | st.lists(st.dictionaries(KEYS, VALUES, max_size=4).map(json.dumps), max_size=4).map(
    lambda printed: "\n".join(printed).encode()
)
ENDINGS = st.tuples(st.none() | st.integers(-1, 256), st.none() | st.integers(1, 64))


def check(answer: Answer) -> None:
    """An answer has the right types, can be written as JSON, and has a reason unless it is ok."""
    assert (answer.kind is Kind.OK) is (answer.reason == "")
    assert "\n" not in answer.reason
    assert answer.denied >= 0
    assert json.dumps([answer.text, dict(answer.usage), answer.resets_at], allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("name", [*SHIPPED, "gemini-document", "parrot"])
@given(stdout=OUTPUTS, stderr=OUTPUTS, ending=ENDINGS, wants_data=st.booleans())
def test_no_output_is_too_strange(
    agents: dict[str, Agent], name: str, stdout: bytes, stderr: bytes, ending: tuple[int | None, int | None],
    wants_data: bool,
) -> None:  # fmt: skip
    """Whatever is printed, there is an answer."""
    check(read_answer(agents[name], stdout, stderr, *ending, {}, wants_data=wants_data))


def variants(value: Any, depth: int) -> Iterator[Any]:
    """Yield a JSON value with each of its parts, down to a depth, replaced by each odd value in turn."""
    yield from ODD
    if isinstance(value, dict) and depth:
        for key, part in value.items():
            yield from (value | {key: odd} for odd in variants(part, depth - 1))


@pytest.mark.parametrize(
    ("name", "recording"),
    [("claude", "usage-limit-subscription"), ("codex", "usage-limit"), ("opencode", "permission-ask"),
     ("gemini", "sj-permission-default"), ("gemini-document", "success")],
)  # fmt: skip
def test_no_part_of_an_event_has_a_type(agents: dict[str, Agent], name: str, recording: str) -> None:
    """A real output in which any one value is of another type is still read."""
    stdout = (FIXTURES / "agent_recordings" / name.split("-")[0] / f"{recording}.stdout").read_bytes()
    events = list(events_in(stdout))
    for place, event in enumerate(events):
        for odd in variants(event, 3):
            check(read_answer(agents[name], lines(*events[:place], odd, *events[place + 1 :]), b"", 0, None))


@pytest.mark.parametrize("name", [*SHIPPED, "gemini-document", "parrot"])
@pytest.mark.parametrize("printed", [b"[" * 200_000, b'{"type":' * 200_000, b'{"type":"result","x":' + b"[" * 200_000])
def test_no_nesting_is_followed(agents: dict[str, Agent], name: str, printed: bytes) -> None:
    """200,000 brackets are an answer that failed, on stdout and on stderr."""
    assert Kind.FAILED is read_answer(agents[name], printed, printed, 1, None).kind


def test_amounts_that_are_none_are_left_out(agents: dict[str, Agent]) -> None:
    """Texts, truth values, negative and endless amounts are no usage; a session that is no id is no session."""
    usage = {"input_tokens": "7", "output_tokens": True}
    result = {"type": "result", "is_error": False, "usage": usage, "total_cost_usd": -1, "session_id": "--yolo x"}
    answer = read_answer(agents["claude"], lines(result), b"", 0, None)
    assert (Kind.OK, {}, None) == (answer.kind, answer.usage, answer.session)
    step = {"type": "step_finish", "part": {"reason": "stop", "cost": 1e308, "tokens": {"input": 10**30}}}
    answer = read_answer(agents["opencode"], lines(*[step] * 20), b"", 0, None)
    assert {"input_tokens": pytest.approx(2e31)} == answer.usage


def test_every_known_name_is_in_the_schema() -> None:
    """The schema lists the same names as the code."""
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "agent.schema.json").read_text())
    assert [*KNOWN, "repo"] == schema["properties"]["optional"]["propertyNames"]["enum"]
