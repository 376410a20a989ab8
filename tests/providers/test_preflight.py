"""A preflight says whether a provider can work, and why not, within its limit and whatever the program does (N3)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lanes.embed.project import wait_for
from providers.fakes import Fakes
from trailblazer.config import load_config
from trailblazer.errors import ConfigWrong
from trailblazer.processes.ask import Answer
from trailblazer.processes.identity import start_ticks
from trailblazer.providers.agents import shipped_entries
from trailblazer.providers.chain import load_providers
from trailblazer.providers.failure_codes import Cause
from trailblazer.providers.preflight import SECONDS, Health, check_provider, judge

RECORDINGS = Path(__file__).resolve().parents[1] / "fixtures" / "preflight_recordings"
EXPECTED = yaml.safe_load((RECORDINGS / "expected.yaml").read_text())
OTHERS = """
providers:
  agents:
    codex-login:
      command: [codex, exec]
      output: text
      preflight: {command: [codex, login, status], causes: [{cause: not_logged_in, line: not logged in}]}
"""


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Programs of the test's own."""
    return Fakes(tmp_path, monkeypatch)


def check(name: str, model: str | None = None, paid: bool = False) -> Health:
    """Return the health of a provider; its one line in the log begins with its name."""
    lines: list[str] = []
    provider = load_providers(load_config())[name]
    health = check_provider(provider, model=model, paid=paid, log=lines.append)
    assert [f"[preflight/{name}] {health.reason or 'available'}"] == lines
    assert health.is_available is (health.cause is None) is (health.reason == "")
    assert "\n" not in health.reason
    return health


def test_every_recording_has_its_meaning() -> None:
    """The table names each recording once."""
    assert sorted(EXPECTED) == sorted(file.stem for file in RECORDINGS.glob("*.stdout"))


@pytest.mark.parametrize("name", EXPECTED)
def test_recording_is_understood(fakes: Fakes, name: str) -> None:
    """A program that prints what a real one printed has the health, the cause and the reason of the real one."""
    expected = EXPECTED[name]
    fakes.configure(OTHERS)
    code = json.loads((RECORDINGS / f"{name}.exit").read_text())["exit"]
    fakes.prints(expected["by"].split("-")[0], RECORDINGS / f"{name}.stdout", RECORDINGS / f"{name}.stderr", code)
    health = check(expected["by"], expected.get("model"))
    assert expected.get("cause") == health.cause
    assert expected.get("said", "") in health.reason
    assert expected.get("model") == health.model


def test_a_model_that_is_not_listed_is_missing(fakes: Fakes) -> None:
    """The whole line is compared; the preflight asks for the models of the wanted model's provider."""
    fakes.program("opencode", "echo fake/m10; echo other/m1")
    health = check("opencode", "fake/m1")
    assert (Cause.MODEL_MISSING, "it does not offer the model fake/m1") == (health.cause, health.reason)
    assert check("opencode", "fake/m10").is_available
    assert check("opencode").is_available
    assert ["models fake", "models fake", "models"] == fakes.calls("opencode")


def test_the_version_is_what_the_program_says(fakes: Fakes) -> None:
    """The version is the first word with a number and a dot; a program that cannot say it has none."""
    fakes.program("gemini", "exit 0", version="0.61.0-nightly.3")
    assert "0.61.0-nightly.3" == check("gemini").version
    fakes.program("gemini", "exit 0", version="unknown")
    assert None is check("gemini").version


def test_a_preflight_has_the_environment_of_its_entry(fakes: Fakes) -> None:
    """What an entry sets for its program, such as no update by itself, holds for the preflight as well."""
    fakes.program("claude", 'echo "updates off: $DISABLE_AUTOUPDATER" >&2; exit 1')
    assert "exit 1: updates off: 1" == check("claude").reason


def test_a_missing_program_is_not_installed(fakes: Fakes) -> None:
    """What is not on the PATH is said at once, for an agent and for each provider of a runner."""
    assert not list(fakes.bin.iterdir())
    for name, program in (("claude", "claude"), ("dx-runner:cc-glm", "dx-runner")):
        health = check(name)
        assert (Cause.NOT_INSTALLED, f"{program} is not installed") == (health.cause, health.reason)


def test_a_command_is_always_available(fakes: Fakes) -> None:
    """`command` has no program of its own; an agent without a preflight is available where it is installed."""
    assert check("command").is_available
    fakes.configure("providers: {agents: {parrot: {command: [parrot], output: text}}}")
    assert Cause.NOT_INSTALLED is check("parrot").cause
    fakes.program("parrot", "exit 1")
    assert check("parrot").is_available
    assert [] == fakes.calls("parrot")


def test_a_program_that_hangs_is_ended(fakes: Fakes) -> None:
    """A preflight ends with its limit; the program and its child, which minds no TERM, are gone."""
    hanging = "{command: [slow, status], seconds: 0.5}"
    fakes.configure(f"providers: {{agents: {{slow: {{command: [slow], output: text, preflight: {hanging}}}}}}}")
    fakes.program("slow", f"trap '' TERM; /bin/sleep 60 & echo $! >{fakes.bin}/pid; wait")
    began = time.monotonic()
    health = check("slow")
    assert time.monotonic() - began < 20
    assert (Cause.TIMEOUT, "it did not answer within 0.5 s") == (health.cause, health.reason)
    assert health.seconds >= 0.5
    child = int((fakes.bin / "pid").read_text())
    wait_for(lambda: start_ticks(child) is None, "the child has gone")


def test_the_shipped_limit_is_that_of_the_requirement(fakes: Fakes) -> None:
    """A check takes at most 30 s unless an entry says otherwise."""
    assert fakes.project.is_dir()
    assert {30.0} == {SECONDS, *(one.seconds for one in load_providers(load_config()).values())}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 3", "exit 3"),
        ("echo 'Error: no seeds' >&2; echo more >&2; exit 3", "exit 3: Error: no seeds"),
        ("printf 'a\\nlast line\\n'; exit 127", "exit 127: last line"),
        ("echo '{}'; exit 3", "exit 3"),
        ("kill -9 $$", "killed by signal 9"),
        ("printf '\\033[91mError: \\033[0mred\\n' >&2; exit 124", "exit 124: Error: red"),
    ],
)
def test_what_no_rule_knows_is_unknown(fakes: Fakes, script: str, reason: str) -> None:
    """Without a rule that holds the cause is unknown, and the reason is how the program ended and what it said."""
    fakes.program("claude", script)
    health = check("claude")
    assert (Cause.UNKNOWN, reason) == (health.cause, health.reason)


RUNNER = [
    # As dx-runner's adapters print it.
    ("opencode binary: MISSING\n  ERROR: opencode CLI not found", Cause.NOT_INSTALLED, "opencode CLI not found"),
    (
        "canonical model probe: MISSING (z/glm-5.1)\n  ERROR: no such model",
        Cause.MODEL_MISSING,
        "no such model",
    ),
    ("canonical model probe: MISSING (z/glm-5.1)", Cause.MODEL_MISSING, "canonical model probe: MISSING (z/glm-5.1)"),
    ("model availability: NO_MODELS\n  ERROR: No models available", Cause.MODEL_MISSING, "No models available"),
    (
        "  ERROR: auth/quota check failed\n  ERROR_CODE=opencode_auth_or_quota_blocked severity=error",
        Cause.QUOTA,
        "auth/quota check failed",
    ),
    (
        "authentication: FAILED\n  ERROR_CODE=gemini_auth_missing severity=error action=gemini_login_required",
        Cause.NOT_LOGGED_IN,
        "gemini_auth_missing severity=error action=gemini_login_required",
    ),
    (
        "reason_code=secret_auth_resolution_failed_after_preflight\n  ERROR: it failed before launch",
        Cause.NOT_LOGGED_IN,
        "it failed before launch",
    ),
    ("reason_code=profile_load_failed", Cause.UNKNOWN, "profile_load_failed"),
    ("[ERROR] a new kind of trouble", Cause.UNKNOWN, "a new kind of trouble"),
]


@pytest.mark.parametrize(("printed", "cause", "reason"), RUNNER)
@pytest.mark.parametrize("stream", ["", " >&2"])
def test_a_runner_says_why_on_either_stream(fakes: Fakes, printed: str, cause: Cause, reason: str, stream: str) -> None:
    """ERROR: lines, a missing canonical model, ERROR_CODE= and reason_code= are read from stdout and from stderr."""
    fakes.program("dx-runner", f"cat() {{ /bin/cat; }}; cat{stream} <<'END'\nhost: h\n{printed}\nEND\nexit 1")
    health = check("dx-runner:opencode")
    assert (cause, reason) == (health.cause, health.reason)
    assert ["preflight --provider opencode"] == fakes.calls("dx-runner")


def test_a_runner_that_warns_is_available(fakes: Fakes) -> None:
    """Exit 0 counts, whatever warnings stand beside it; the model is what the runner names."""
    fakes.program("dx-runner", "echo 'canonical model policy: z/glm-5.1'; echo '  WARN_CODE=opencode_probe_timeout'")
    health = check("dx-runner:opencode")
    assert (True, "z/glm-5.1") == (health.is_available, health.model)


FAKE_CLAUDE = """
[ "$1" = auth ] && exit 0
read -r prompt
echo "$prompt" >>"$0.prompts"
echo '{"type":"assistant","message":{"model":"claude-x"}}'
echo '%s'
"""


@pytest.mark.parametrize(
    ("result", "cause"),
    [
        ('{"type":"result","is_error":false,"result":"READY"}', None),
        ('{"type":"result","is_error":true,"api_error_status":401,"result":"no"}', Cause.NOT_LOGGED_IN),
        ('{"type":"result","is_error":true,"api_error":"usage_limit_reached","result":"no"}', Cause.QUOTA),
        ('{"type":"result","is_error":true,"api_error_status":404,"result":"no"}', Cause.MODEL_MISSING),
        ('{"type":"result","is_error":true,"api_error_status":529,"result":"no"}', Cause.UNREACHABLE),
        ('{"type":"result","is_error":true,"result":"no"}', Cause.UNKNOWN),
    ],
)
def test_a_paid_preflight_asks_the_model(fakes: Fakes, result: str, cause: Cause | None) -> None:
    """Only with `paid` is the model asked, with the words of an attempt; its answer is read as that of an attempt."""
    fakes.program("claude", FAKE_CLAUDE % result)
    assert check("claude").is_available
    assert ["auth status"] == fakes.calls("claude")
    health = check("claude", "m", paid=True)
    assert (cause, "claude-x") == (health.cause, health.model)
    assert fakes.calls("claude")[-1].startswith("-p --output-format stream-json")
    assert fakes.calls("claude")[-1].endswith("--model m")
    assert ["Answer with the one word READY. Use no tools."] == (fakes.bin / "claude.prompts").read_text().splitlines()


def test_nothing_is_paid_for_a_provider_that_cannot_work(fakes: Fakes) -> None:
    """The free preflight comes first; when it fails the model is not asked."""
    fakes.program("claude", "exit 1")
    assert Cause.UNKNOWN is check("claude", paid=True).cause
    assert ["auth status"] == fakes.calls("claude")


def test_what_is_left_of_the_quota_is_read_for_free(fakes: Fakes) -> None:
    """The newest session log of codex says it; the tightest limit counts, and one that began anew is whole."""
    fakes.program("codex", f"/bin/cat {RECORDINGS}/codex-doctor-json.stdout")
    assert None is check("codex").quota
    logs = fakes.bin.parent / ".codex" / "sessions" / "2026" / "11" / "21"
    logs.mkdir(parents=True)
    soon = time.time() + 3600

    def write(name: str, age: int, primary: object, secondary: object) -> None:
        limits = {"primary": primary, "secondary": secondary}
        event = {"type": "event_msg", "payload": {"type": "token_count", "rate_limits": limits}}
        (logs / name).write_text(json.dumps(event) + '\n{"payload":{"type":"agent_message"}}\nhalf a line')
        os.utime(logs / name, (1e9 - age, 1e9 - age))

    write("rollout-old.jsonl", 9, {"used_percent": 99, "resets_at": soon}, None)
    write("rollout-new.jsonl", 0, {"used_percent": 40.0, "resets_at": soon}, {"used_percent": 82.5, "resets_at": soon})
    quota = check("codex").quota
    assert quota is not None
    assert (17.5, soon) == (quota.left_percent, quota.resets_at)
    write("rollout-new.jsonl", 0, {"used_percent": 100, "resets_at": 1}, {"used_percent": "7"})
    quota = check("codex").quota
    assert quota is not None
    assert (100.0, None) == (quota.left_percent, quota.resets_at)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{kind: dx-runner, preflight: {command: [x]}}", "'providers' is a required property"),
        (
            "{kind: dx-runner, providers: [a], preflight: {command: [x]}, command: [x]}",
            "'questions' is a dependency of 'command'",
        ),
        ("{command: [x], output: text, preflight: {}}", "'command' is a required property"),
        (
            "{command: [x], output: text, preflight: {command: [x, '{tree}']}}",
            "$.preflight.command: {tree} is not known",
        ),
        ("{command: [x], output: text, preflight: {command: [x], seconds: 0}}", "0 is less than or equal to"),
        (
            "{command: [x], output: text, preflight: {command: [x], causes: [{cause: sad, exit: [1]}]}}",
            "'sad' is not one",
        ),
        ("{command: [x], output: text, preflight: {command: [x], causes: [{cause: quota}]}}", "too few properties"),
    ],
)
def test_a_mistake_in_a_preflight_is_named(fakes: Fakes, entry: str, said: str) -> None:
    """A mistake is refused with exit 3 and what is wrong."""
    fakes.configure(f"providers: {{agents: {{mine: {entry}}}}}")
    with pytest.raises(ConfigWrong) as refused:
        load_providers(load_config())
    whole = f"{refused.value.what}\n{refused.value.hint}"
    assert said.replace("too few properties", "does not have enough properties") in whole


TEXTS = st.text(max_size=60) | st.sampled_from(
    ['{"checks": 1}', "[[", "ERROR:", "canonical model missing", "\0", "\ud83d"]
)


@pytest.mark.parametrize("name", [name for name, entry in shipped_entries().items() if "preflight" in entry])
@given(out=TEXTS, err=TEXTS, code=st.integers(-64, 255), model=st.none() | TEXTS)
def test_no_output_is_too_strange(name: str, out: str, err: str, code: int, model: str | None) -> None:
    """Whatever is printed, there is a verdict: it passes, or it has a cause and a reason of one line."""
    said, complained = (text.encode("utf-8", "replace").decode() for text in (out, err))
    verdict = judge(shipped_entries()[name]["preflight"], Answer(code, said, complained), model)
    assert (verdict.cause is None) is (verdict.reason == "")
    assert "\n" not in verdict.reason
