"""What the words of a batch mean: the limits of the batch, and the provider that runs its items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trailblazer import schemas
from trailblazer.atomic import read_regular
from trailblazer.config import Config
from trailblazer.dispatch.halting import Halts, read_rule
from trailblazer.dispatch.settling import Limits
from trailblazer.dispatch.throttle import Throttle
from trailblazer.errors import PlanUnusable, WordsWrong
from trailblazer.lanes.amounts import MOST, SIZES, TIMES, read_amount
from trailblazer.lanes.items.request import ItemsRequest
from trailblazer.lanes.orders import TimeLimit
from trailblazer.processes.git import ask_git
from trailblazer.providers.agents import Agent
from trailblazer.providers.command import Command
from trailblazer.providers.order import Evidence, Expectation
from trailblazer.providers.templates import Render, compile_text, has_marks, join_marks

MOST_TEMPLATE_BYTES = 64 << 20
JSON = "json"


def read_limits(request: ItemsRequest, workers: int) -> Limits:
    """Return the limits that words mean. A number out of range is WordsWrong."""
    numbers = {"max-workers": (workers, 1), "retries": (request.retries, 0), "fail-fast": (request.fail_fast, 0)}
    for name, (value, least) in numbers.items():
        if not least <= value <= MOST:
            raise WordsWrong(f"--{name} {value} is out of range", f"From {least} to {MOST}.")
    return Limits(
        workers,
        request.retries,
        retry_failures=True,
        halts=Halts(request.fail_fast, read_rule(request.halt) if request.halt else None),
        throttle=Throttle(
            read_amount(request.delay, TIMES),
            request.max_load,
            int(read_amount(request.min_free_memory, SIZES)) if request.min_free_memory else None,
        ),
    )


def read_time_limit(request: ItemsRequest, default_minutes: float) -> TimeLimit:
    """Return the time limit of an attempt."""
    text = request.timeout
    if text is None:
        return TimeLimit(60 * default_minutes)
    if text.endswith("x"):
        return TimeLimit(medians=read_amount(text[:-1], {"": 1}))
    return TimeLimit(read_amount(text, TIMES) or None)


def read_command(request: ItemsRequest, agents: Sequence[Agent], config: Config) -> Command:
    """Return the command, or the first of the agents, that runs each item; with no agents it is a command.

    A mistake in a template is refused before anything runs.
    """
    prompt = _prompt(request)
    command = join_marks(request.command)
    if not any(map(has_marks, command)):
        command = [word.replace("{}", "{{ item }}") for word in command]  # as GNU parallel has it
    agent = agents[0] if agents else None
    if agent and not prompt:
        raise WordsWrong("an agent needs a prompt", "Give --template FILE or --prompt TEXT, with {{ item }} in it.")
    if not agent and not command:
        raise WordsWrong(
            "there is no command", "Put it after --: trailblazer batch run --items FILE -- ./work.sh '{{ item }}'"
        )
    if request.expect_schema:
        schemas.user_schema(Path(request.expect_schema))
    return Command(
        words=_words(command, request, is_whole=bool(agent or prompt)),
        prompt=compile_text(prompt) if prompt else None,
        agent=agent,
        model=request.model,
        log_cap=None if request.no_worker_logs else int(read_amount(request.log_cap, SIZES)),
        expects=_expectation(request),
        idle_seconds=_idle_seconds(request, 60 * config["providers.idle_minutes"] if agent else 0.0),
        grace_seconds=config["providers.grace_seconds"],
    )


def _expectation(request: ItemsRequest) -> Expectation:
    is_json = request.expect == JSON or request.expect_schema is not None
    evidence = Evidence(request.expect) if request.expect not in {None, JSON} else Evidence.NONE
    if evidence is Evidence.CHANGES and ask_git(Path.cwd(), "rev-parse", "--git-dir") is None:
        raise WordsWrong("--expect changes needs a git checkout", "Go to the folder that the work changes.")
    return Expectation(is_json, request.expect_schema, evidence)


def _idle_seconds(request: ItemsRequest, default: float) -> float | None:
    """Return how long an attempt may print nothing. It is seen in the logs: without them the limit is refused."""
    if request.no_worker_logs:
        if request.idle is not None:
            raise WordsWrong("--idle needs the logs", "Leave --no-worker-logs out.")
        return None
    return (default if request.idle is None else read_amount(request.idle, TIMES)) or None


def _words(command: list[str], request: ItemsRequest, *, is_whole: bool) -> tuple[Render, ...]:
    if request.shell:
        return *map(compile_text, ["/bin/sh", "-c"]), compile_text(" ".join(command), for_shell=True)
    is_bare = not is_whole and not any(map(has_marks, command))
    return tuple(compile_text(word) for word in [*command, *(["{{ item }}"] if is_bare else [])])


def _prompt(request: ItemsRequest) -> str | None:
    if request.template and request.prompt:
        raise WordsWrong("both --template and --prompt are given", "Keep one of them.")
    prompt = _read(request.template) if request.template else request.prompt
    if request.skill is None or prompt is None:
        return prompt
    return f"Use the skill {request.skill}.\n\n{prompt}\n\nWrite your result to the file {{{{ output_file }}}}\n"


def _read(name: str) -> str:
    try:
        return read_regular(Path(name), MOST_TEMPLATE_BYTES).decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise PlanUnusable(f"cannot read the template {name}: {why}", "Look at that path.") from error
