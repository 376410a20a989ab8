"""The first available provider of a chain does the work (N4), and the verb says who can work and why not."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from lanes.embed.project import Project, wait_for
from providers.fakes import Fakes
from trailblazer.cli import main
from trailblazer.config import load_config
from trailblazer.errors import ConfigWrong, ServiceDown
from trailblazer.processes.identity import start_ticks
from trailblazer.providers.chain import MOST_AT_ONCE, Choice, choose_chain, choose_provider, load_providers
from trailblazer.providers.failure_codes import Cause
from trailblazer.providers.preflight import Health

NOT_LOGGED_IN = "Not logged in. Run claude auth login, or set ANTHROPIC_API_KEY."
CLAUDE_OUT = """echo '{"loggedIn": false}'; exit 1"""
RUNNERS = ("dx-runner:opencode", "dx-runner:cc-glm", "dx-runner:gemini")


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Programs of the test's own."""
    return Fakes(tmp_path, monkeypatch)


def chain() -> tuple[str, ...]:
    """Return the chain that applies in the working folder."""
    config = load_config()
    return choose_chain(config, load_providers(config))


def down(name: str, reason: str) -> Health:
    """Return the health of a provider that cannot work."""
    return Health(name, False, reason, Cause.UNKNOWN)


def test_the_first_available_provider_is_chosen() -> None:
    """Each is checked once, in order, and none behind the one that is available; the line says why it is a fallback."""
    asked = list[str]()
    found = {"a": down("a", "no credit"), "b": down("b", "down"), "c": Health("c", True), "d": Health("d", True)}

    def check(name: str) -> Health:
        asked.append(name)
        return found[name]

    choice = choose_provider(["a", "a", "b", "c", "d"], check)
    assert ["a", "b", "c"] == asked
    assert Choice("c", "a unavailable: no credit", (found["a"], found["b"])) == choice
    assert "fallback (a unavailable: no credit)" == choice.line


def test_the_primary_is_no_fallback() -> None:
    """When the first of the chain is available there is nothing to say."""
    choice = choose_provider(["a", "b"], lambda name: Health(name, True))
    assert ("a", "", "", ()) == (choice.provider, choice.fallback_reason, choice.line, choice.refused)


def test_no_provider_at_all_is_exit_8() -> None:
    """The refusal names every provider and its reason; an empty chain says what to install."""
    with pytest.raises(ServiceDown, match="no provider is available: a, b") as refused:
        choose_provider(["a", "b"], lambda name: down(name, f"{name} is down"))
    assert (8, "a: a is down\nb: b is down") == (refused.value.exit_code, refused.value.hint)
    with pytest.raises(ServiceDown, match="no provider is installed"):
        choose_provider([], lambda name: down(name, ""))


def test_the_default_chain_is_what_is_installed(fakes: Fakes) -> None:
    """The runner's providers where it is installed, else the installed agents in the order claude to gemini."""
    assert () == chain()
    for name in ("gemini", "codex", "claude"):
        fakes.program(name, "")
    assert ("claude", "codex", "gemini") == chain()
    fakes.program("dx-runner", "")
    assert chain() == RUNNERS


def test_a_configured_chain_is_taken_as_it_is(fakes: Fakes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed or not; a runner may have providers that nobody listed; the environment comes before the file."""
    fakes.configure("providers: {chain: [codex, 'dx-runner:mine', command]}")
    assert ("codex", "dx-runner:mine", "command") == chain()
    monkeypatch.setenv("TRAILBLAZER_PROVIDERS_CHAIN", "[gemini, claude]")
    assert ("gemini", "claude") == chain()


@pytest.mark.parametrize(
    ("written", "what", "hint"),
    [
        ("[claude, codx]", ":1: providers.chain: codx is no provider", "Did you mean codex?"),
        ("['other:codex']", "other:codex is no provider", ""),
        ("[dx-runner]", "dx-runner is no provider", "dx-runner:"),
        ("[]", "providers.chain", ""),
        ("[a b]", "providers.chain", ""),
        ("claude", "providers.chain", ""),
    ],
)
def test_a_wrong_chain_is_refused(fakes: Fakes, written: str, what: str, hint: str) -> None:
    """A chain with an unknown name is refused with exit 3, its place and the nearest name."""
    fakes.configure(f"providers: {{chain: {written}}}")
    with pytest.raises(ConfigWrong) as refused:
        chain()
    assert what in refused.value.what
    assert hint in refused.value.hint


def test_check_says_who_can_work(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a provider on stdout, in the order of the list; the choice and its reason on stderr; exit 0."""
    fakes.program("claude", CLAUDE_OUT, version="2.1.330")
    fakes.program("codex", """echo '{"checks": {"auth.credentials": {"status": "ok"}}}'; exit 1""")
    assert 0 == main(["providers", "check"])
    out, err = capsys.readouterr()
    lines = [line.rpartition(" (")[0] for line in out.splitlines()]
    assert f"claude: not available: {NOT_LOGGED_IN}" == lines[0]
    assert ["codex: available", "opencode: not available: opencode is not installed"] == lines[1:3]
    assert [f"{name}: not available: dx-runner is not installed" for name in RUNNERS] == lines[4:7]
    assert ["command: available"] == lines[7:]
    assert "(version 2.1.330, " in out.splitlines()[0]
    assert f"codex would work: fallback (claude unavailable: {NOT_LOGGED_IN})\n" == err


def test_check_without_any_provider_is_exit_8(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """`command` is no agent: it does not make the default chain available."""
    fakes.program("claude", CLAUDE_OUT)
    assert 8 == main(["providers", "check"])
    assert f"providers: no provider is available: claude\n  claude: {NOT_LOGGED_IN}\n" == capsys.readouterr().err
    (fakes.bin / "claude").unlink()
    assert 8 == main(["providers", "check"])
    assert "no provider is installed" in capsys.readouterr().err


def test_names_take_the_place_of_the_chain(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """Only the named providers are asked, and one of them must be available."""
    fakes.program("claude", CLAUDE_OUT)
    fakes.program("gemini", "exit 0")
    assert 8 == main(["providers", "check", "claude"])
    assert 0 == main(["providers", "check", "claude", "gemini", "claude", "--model", "g-3", "--verbose"])
    out, err = capsys.readouterr()
    assert ["claude", "claude", "gemini"] == [line.partition(":")[0] for line in out.splitlines()]
    assert "model g-3" in out.splitlines()[-1]
    assert {f"[preflight/claude] {NOT_LOGGED_IN}", "[preflight/gemini] available"} <= set(err.splitlines())
    assert 8 == main(["providers", "check", "dx-runner:gemini"])


def test_an_unknown_name_is_exit_2(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest name is said, and nobody is asked."""
    fakes.program("claude", "exit 0")
    assert 2 == main(["providers", "check", "claude", "cloude"])
    assert ("", "providers: 'cloude' is no provider\n  Did you mean claude?\n") == capsys.readouterr()
    assert [] == fakes.calls("claude")


def test_a_model_is_never_an_option(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """A model that begins with a dash is refused with exit 2 before a program sees it."""
    fakes.program("opencode", "exit 0")
    assert 2 == main(["providers", "check", "opencode", "--model=--yolo/x"])
    assert "providers: --yolo/x is no model\n" in capsys.readouterr().err
    assert [] == fakes.calls("opencode")


def test_check_is_one_document_for_machines(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints every field, the chain and the choice, also when nobody can work."""
    fakes.program("claude", CLAUDE_OUT)
    fakes.program("gemini", "exit 0")
    assert 0 == main(["providers", "check", "--json"])
    found = json.loads(capsys.readouterr().out)
    claude = found["providers"][0]
    assert claude.pop("seconds") > 0
    assert {
        "name": "claude", "available": False, "reason": NOT_LOGGED_IN, "cause": "not_logged_in", "model": None,
        "version": "1.2.3", "quota": None,
    } == claude  # fmt: skip
    assert (["claude", "gemini"], "gemini") == (found["chain"], found["chosen"])
    assert f"fallback (claude unavailable: {NOT_LOGGED_IN})" == found["fallback"]
    assert 8 == main(["providers", "check", "claude", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (None, None) == (found["chosen"], found["fallback"])


def test_escape_codes_do_not_reach_the_screen(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program prints is made plain."""
    fakes.program("gemini", "printf 'bad\\033]0;title\\007\\n' >&2; exit 1")
    assert 8 == main(["providers", "check", "gemini"])
    out, err = capsys.readouterr()
    assert "\033" not in out + err
    assert "exit 1: bad^[]0;title^G" in out


def test_list_asks_nobody(fakes: Fakes, capsys: pytest.CaptureFixture[str]) -> None:
    """The list has each provider's name, kind and version; no preflight is run."""
    fakes.program("claude", "exit 0")
    fakes.program("dx-runner", "exit 0")
    assert 0 == main(["providers", "list"])
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert [["claude", "agent", "1.2.3"], ["codex", "agent", "not installed"]] == lines[:2]
    assert [RUNNERS[0], "dx-runner", "installed"] == lines[4]
    assert ["command", "command", "always there"] == lines[-1]
    assert [] == fakes.calls("claude") + fakes.calls("dx-runner")
    assert 0 == main(["providers", "list", "--json"])
    first = json.loads(capsys.readouterr().out)["providers"][0]
    assert {"name": "claude", "kind": "agent", "installed": True, "version": "1.2.3"} == first


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_every_check(fakes: Fakes, number: int, code: int) -> None:
    """Programs that hang do not hold an interrupt up, and none of them is left."""
    names = [f"slow{index}" for index in range(MOST_AT_ONCE + 2)]
    entries = ", ".join(
        f"{name}: {{command: [{name}], output: text, preflight: {{command: [{name}]}}}}" for name in names
    )
    fakes.configure(f"providers: {{agents: {{{entries}}}}}")
    for name in names:
        fakes.program(name, f"echo $$ >{fakes.bin}/{name}.pid; exec /bin/sleep 600")
    with Project(fakes.project, "null").running("providers", "check", *names) as process:
        wait_for(lambda: len(list(fakes.bin.glob("*.pid"))) >= MOST_AT_ONCE, "the checks hang")
        wait_for(lambda: all(file.read_text().strip() for file in fakes.bin.glob("*.pid")), "each has its pid")
        process.send_signal(number)
        assert code == process.wait(20)
    pids = [int(file.read_text()) for file in fakes.bin.glob("*.pid")]
    assert MOST_AT_ONCE == len(pids)
    wait_for(lambda: all(start_ticks(pid) is None for pid in pids), "none is left")
