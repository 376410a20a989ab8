"""Agent CLIs as data (agents.yaml): how each is called, and how its output is read."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from trailblazer import schemas
from trailblazer.config import Config, read_yaml
from trailblazer.errors import ConfigWrong, WordsWrong
from trailblazer.plain import one_line
from trailblazer.providers.answers import Answer, Ending, Kind, Reading, answer_of, read_reading

__all__ = ["KNOWN", "Agent", "Answer", "Kind", "load_agents", "read_answer"]

# What the words of an agent may hold in braces: agents.yaml says what each is.
KNOWN = ("model", "tree", "session", "resume", "budget_usd", "turns", "schema", "schema_file", "prompt", "prompt_file")
# … what those of a runner may hold,
KNOWN_OF_RUNNER = ("issue", "provider", "repo", *KNOWN)
# … and those of a preflight, where a word whose name is not known is left out.
KNOWN_BEFORE = ("model", "model_provider", "provider")
RUNNER = "dx-runner"
TEMPORARY = "tmp"  # a folder of the attempt, which goes when it has been judged
TEMPORARY_MARK = "{tmp}"
MARK = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Agent:
    """One entry of agents.yaml, or of providers.agents in the configuration.

    `since` are words that only versions from one on know: `for_version` adds them. `usage_over` is session where the
    amounts are of the whole session: subtract what its earlier attempts have used.
    """

    name: str
    command: tuple[str, ...]
    resume_command: tuple[str, ...]
    optional: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str]
    prompt: Literal["stdin", "argument", "file"]
    prompt_words: tuple[str, ...]
    usage_over: Literal["attempt", "session"]
    reading: Reading
    ends: tuple[Mapping[str, Any], ...] = ()
    """The events that end a run: each is a final event that some rule of `kinds` decides by."""
    runner: str = ""
    """The runner whose provider `provider` this is; empty for an agent of its own."""
    provider: str = ""
    questions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The words with which a runner is asked about a job: check, report, stop."""
    since: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def for_version(self, version: str | None) -> Agent:
        """Return the agent with the words that this version knows; where it is not known, without them."""
        words = [word for first, group in self.since if version and _numbers(version) >= _numbers(first)
                 for word in group]  # fmt: skip
        return replace(self, command=(*self.command, *words), since=())

    def words(self, known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the argv for what is known; optional words whose {name} is not known are left out.

        A {name} that the command itself cannot do without, and a value that would be taken for an option, is refused
        with WordsWrong (exit 2). Where `resume` is known, `session` is not used.
        """
        if "resume" in known:
            known = {name: value for name, value in known.items() if name != "session"}
        words = list(self.command)
        if "resume" in known and self.resume_command:  # a session goes on in the folder that it has
            words, known = list(self.resume_command), {name: known[name] for name in known if name != "tree"}
        for group in [*(group for name, group in self.optional.items() if name in known), self.prompt_words]:
            if all(name in known for word in group for name in MARK.findall(word)):
                words += group
        return tuple(MARK.sub(lambda mark: self._value(mark, known), word) for word in words)

    def variables(self, folder: str) -> dict[str, str]:
        """Return what is set for an attempt. A value with {tmp} in it makes that folder, in the attempt's own."""
        temporary = f"{folder}/{TEMPORARY}"
        if any(TEMPORARY_MARK in value for value in self.environment.values()):
            os.mkdir(temporary, 0o700)  # noqa: PTH102 - paths as text, as the order has them
        return {name: value.replace(TEMPORARY_MARK, temporary) for name, value in self.environment.items()}

    def _value(self, mark: re.Match[str], known: Mapping[str, str]) -> str:
        name = mark[1]
        if name not in known:
            raise WordsWrong(f"the agent {self.name} needs a {name}", f"One of its words is {mark.string}.")
        value = known[name]
        if "\0" in value or (value.startswith("-") and name != "prompt" and mark.start() == 0):
            raise WordsWrong(f"{one_line(value, 60)} is no {name}", "The agent would take it for an option.")
        return value


def read_entries(config: Config) -> dict[str, dict[str, Any]]:
    """Return the entries by name: those that are shipped, then those of providers.agents; the same name replaces.

    Every mistake in the configuration is refused with ConfigWrong (exit 3), all of them at once.
    """
    configured = config["providers.agents"]
    origin = config.settings["providers.agents"].origin
    mistakes = [
        f"{origin}: providers.agents.{name}: {mistake}"
        for name, entry in configured.items()
        for mistake in mistakes_in(entry)
    ]
    if mistakes:
        hint = "The format: schemas/agent.schema.json. Examples: agents.yaml in the package's providers/."
        raise ConfigWrong(mistakes[0], "\n".join([*mistakes[1:], hint]))
    return {**shipped_entries(), **configured}


@functools.cache
def shipped_entries() -> dict[str, dict[str, Any]]:
    """Return the entries of agents.yaml by name, in its order."""
    entries: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("agents.yaml"))
    return entries


def load_agents(config: Config) -> dict[str, Agent]:
    """Return the agents of read_entries by name; a runner is none."""
    return {name: _agent(name, entry) for name, entry in read_entries(config).items() if entry.get("kind") != RUNNER}


def runner_agent(config: Config, name: str) -> Agent:
    """Return a provider of a runner, RUNNER:PROVIDER, as the agent whose words start it; else WordsWrong (exit 2)."""
    runner, _, provider = name.partition(":")
    entry = read_entries(config).get(runner, {})
    if entry.get("kind") != RUNNER or "command" not in entry or not provider:
        raise WordsWrong(f"{one_line(name, 60)!r} is no provider of a runner", "For example dx-runner:opencode.")
    questions = {question: tuple(words) for question, words in entry["questions"].items()}
    return replace(_agent(name, entry), runner=runner, provider=provider, questions=questions, ends=())


def mistakes_in(entry: Any) -> Iterator[str]:
    """Yield what is wrong with an entry: where it breaks its schema, else each {name} that nobody fills in."""
    violations = schemas.violations_in("agent")(entry)
    yield from violations
    if violations:
        return
    parts: dict[str, tuple[Any, tuple[str, ...]]]
    own = KNOWN_OF_RUNNER if entry.get("kind") == RUNNER else KNOWN
    parts = {key: (entry.get(key, ()), own) for key in ("command", "resume_command", "prompt_words")}
    parts |= {f"questions.{name}": (words, ("issue",)) for name, words in entry.get("questions", {}).items()}
    parts |= {f"optional.{name}": (words, own) for name, words in entry.get("optional", {}).items()}
    parts |= {f"since.{n}.words": (one["words"], KNOWN) for n, one in enumerate(entry.get("since", ()))}
    parts["preflight.command"] = entry.get("preflight", {}).get("command", ()), KNOWN_BEFORE
    for place, (words, known) in parts.items():
        for name in (name for word in words for name in MARK.findall(word) if name not in known):
            yield f"$.{place}: {{{name}}} is not known; there are: {', '.join(known)}"
    needed = {"argument": "{prompt}", "file": "{prompt_file}"}.get(entry.get("prompt"))
    if needed and not any(needed in word for word in entry.get("prompt_words", ())):
        yield f"$.prompt_words: no word holds {needed}"


def _agent(name: str, entry: Mapping[str, Any]) -> Agent:
    """Return the agent that an entry describes; the entry is right by its schema."""
    return Agent(
        name=name,
        command=tuple(entry["command"]),
        resume_command=tuple(entry.get("resume_command", ())),
        optional={key: tuple(words) for key, words in entry.get("optional", {}).items()},
        environment=dict(entry.get("environment", {})),
        prompt=entry.get("prompt", "stdin"),
        prompt_words=tuple(entry.get("prompt_words", ())),
        usage_over=entry.get("usage_over", "attempt"),
        reading=read_reading(entry),
        ends=_ends_of(entry),
        since=tuple((one["version"], tuple(one["words"])) for one in entry.get("since", ())),
    )


def _ends_of(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the final events that some rule decides by: opencode ends every step with an event of the same type."""
    rules = (rule for rule in entry.get("kinds", ()) if "final" in rule and entry.get("output", "json") == "json")
    found = [{**entry.get("final", {}), **rule["final"]} for rule in rules]
    return tuple(one for number, one in enumerate(found) if one not in found[:number])


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version to compare by: 2.1.197 is older than 2.1.330."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version.partition("-")[0])[:4])


def read_answer(
    agent: Agent,
    stdout: bytes,
    stderr: bytes,
    exit_code: int | None,
    signal: int | None,
    environment: Mapping[str, str] | None = None,
    *,
    wants_data: bool = False,
) -> Answer:
    """Return what an agent's output means; whatever the output is, this refuses nothing.

    A process that was ended after a good final event is ok: its end was wanted. `environment` is the attempt's: it says
    where the agent keeps its session log. `wants_data` says that a JSON schema was asked for.
    """
    ending = Ending(exit_code if signal is None else None, signal)
    return answer_of(agent.name, agent.reading, stdout, stderr, ending, environment or {}, wants_data)
