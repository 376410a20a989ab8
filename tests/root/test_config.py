"""The configuration: what goes before what, and each kind of mistake with file, line and the nearest right key (G5)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from trailblazer.config import PREFIX, STAMP, Config, known_keys, load_config, variable
from trailblazer.errors import ConfigWrong
from trailblazer.paths import CONFIG_NAME, CONFIGURED_PATHS


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The place of the one configuration file of a project."""
    target = tmp_path / CONFIG_NAME
    target.parent.mkdir()
    return target


def _refused(start: Path, **flags: object) -> list[str]:
    """Return every mistake that is reported, one a line, without the hint below them."""
    with pytest.raises(ConfigWrong) as refused:
        load_config({key.replace("__", "."): value for key, value in flags.items()}, start)
    assert 3 == refused.value.exit_code
    *more, hint = refused.value.hint.splitlines()
    assert hint
    return [refused.value.what, *more]


@pytest.mark.parametrize(
    ("text", "line", "telling"),
    [
        ("dispatch:\n  wrokers: 2\n", 2, "dispatch.wrokers is not a key; did you mean workers?"),
        ("\n# so\ndipsatch: {workers: 2}\n", 3, "dipsatch is not a key; did you mean dispatch?"),
        ("embed: {zzz: 2}\n", 1, "embed.zzz is not a key; there are: provider, model, "),
        ("dispatch:\n  workers: 2\n\n  workers: 3\n", 4, "workers is there twice"),
        ("chunk: {}\nembed: {}\nchunk: {}\n", 3, "chunk is there twice"),
        ("dispatch:\n  workers: 0\n", 2, "$.dispatch.workers: 0 is less than the minimum of 1"),
        ("dispatch:\n  workers: many\n", 2, "$.dispatch.workers: 'many' is not of type 'integer'"),
        ("embed:\n  provider: lokal\n", 2, "$.embed.provider: 'lokal' is not one of "),
        ("embed:\n  prices:\n    a/b: free\n", 2, "$.embed.prices"),
        ("embed:\n  base_url: nowhere\n", 2, "$.embed.base_url: 'nowhere' does not match "),
        ("embed: 7\n", 1, "a mapping of keys to values belongs here"),
        ("- a\n- b\n", 1, "a mapping of keys to values belongs here"),
    ],
)
def test_a_mistake_in_the_file_names_its_line(file: Path, text: str, line: int, telling: str) -> None:
    """G5: a wrong key, section, value or shape is refused with exit 3, its place, and what would be right."""
    file.write_text(text)
    reported = [mistake for mistake in _refused(file.parents[1]) if mistake.startswith(f"{file}:{line}: {telling}")]
    assert 1 == len(reported), _refused(file.parents[1])


@pytest.mark.parametrize(
    ("content", "telling"),
    [
        (b"dispatch:\n  workers: [1\nembed: {}\n", ":3: not YAML: "),
        (b"dispatch:\n\tworkers: 1\n", ":2: not YAML: "),
        (b"a: caf\xe9\n", ": not YAML: "),
        (b"a: !!python/object/apply:os.getcwd []\n", ":1: a is not a key"),
    ],
)
def test_what_is_not_yaml_names_its_line(file: Path, content: bytes, telling: str) -> None:
    """G5: a file that cannot be read as YAML is refused where that was noticed; nothing in it is ever carried out."""
    file.write_bytes(content)
    assert _refused(file.parents[1])[0].startswith(f"{file}{telling}")


def test_all_mistakes_are_told_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G5: file, environment and flags are each named as the place of what is wrong in them."""
    file.write_text("dispatch:\n  wrokers: 1\n  retries: -1\n")
    monkeypatch.setenv("TRAILBLAZER_DISPATCH_FAIL_FSAT", "5")
    monkeypatch.setenv("TRAILBLAZER_CHUNK_OVERLAP", "much")
    reported = _refused(file.parents[1], embed__batch_size=0)
    beginnings = [
        f"{file}:2: dispatch.wrokers is not a key; did you mean workers?",
        "TRAILBLAZER_DISPATCH_FAIL_FSAT is not a setting; did you mean TRAILBLAZER_DISPATCH_FAIL_FAST?",
        "TRAILBLAZER_CHUNK_OVERLAP: $.chunk.overlap: 'much' is not of type 'integer'",
        "--batch-size: $.embed.batch_size: 0 is less than the minimum of 1",
        f"{file}:3: $.dispatch.retries: -1 is less than the minimum of 0",
    ]
    assert len(beginnings) == len(reported)
    assert [1] * 5 == [sum(mistake.startswith(beginning) for mistake in reported) for beginning in beginnings], reported


def _known(config: Config, key: str) -> tuple[object, str]:
    return config[key], config.settings[key].origin


def test_flags_go_before_variables_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is the flag's, else the variable's, else the file's, else the default, and it says whose it is."""
    root = file.parents[1]
    below = root / "a" / "b"
    below.mkdir(parents=True)
    assert (2, "default") == _known(load_config(start=below), "dispatch.workers")
    file.write_text("dispatch:\n  workers: 3\n")
    assert (3, f"{file}:2") == _known(load_config(start=below), "dispatch.workers")
    monkeypatch.setenv("TRAILBLAZER_DISPATCH_WORKERS", "4")
    assert (4, "TRAILBLAZER_DISPATCH_WORKERS") == _known(load_config(start=below), "dispatch.workers")
    flags = {"dispatch.workers": 5, "dispatch.retries": None}
    assert (5, "--workers") == _known(load_config(flags, below), "dispatch.workers")
    assert (1, "default") == _known(load_config(flags, below), "dispatch.retries")


@pytest.mark.parametrize("text", ["", "# nothing\n", "dispatch:\n", "dispatch: {}\n", "---\n"])
def test_a_file_that_says_nothing_leaves_the_defaults(file: Path, text: str) -> None:
    """Sections may be empty, and so may the file; its folder is the root of the project all the same."""
    file.write_text(text)
    config = load_config(start=file.parents[1])
    assert {schema["default"] for key, schema in known_keys().items() if key == "dispatch.workers"} == {
        config["dispatch.workers"]
    }
    assert (file.parents[1], file.parents[1] / "var") == (config.places.root, config.places.var)


def test_every_key_has_its_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key can be set in the environment, a text as it is written and a number as a number."""
    file.write_text("")
    names = {variable(key) for key in known_keys()}
    assert len(names) == len(known_keys())
    for name, text in (("EMBED_MODEL", "e5:large"), ("EMBED_TIMEOUT_SECONDS", "0.5"), ("PATHS_VAR", "12")):
        monkeypatch.setenv(PREFIX + name, text)
    monkeypatch.setenv(PREFIX + "DB_URL", "postgresql://u:p@[::1]/d?a=b")
    config = load_config(start=file.parents[1])
    keys = ("embed.model", "embed.timeout_seconds", "paths.var", "db.url")
    assert ["e5:large", 0.5, "12", "postgresql://u:p@[::1]/d?a=b"] == [config[key] for key in keys]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("slack://a/b  mailto://c", ["slack://a/b", "mailto://c"]),
        ("['json://a/b c', nonsense]", ["json://a/b c", "nonsense"]),
    ],
)
def test_a_list_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: list[str]
) -> None:
    """A list is words with spaces between them, or a list in YAML."""
    monkeypatch.setenv("TRAILBLAZER_CRON_NOTIFY", text)
    assert (expected, "TRAILBLAZER_CRON_NOTIFY") == _known(load_config(start=tmp_path), "cron.notify")


def test_a_secret_list_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value of a list that may hold a password is refused by its key alone."""
    monkeypatch.setenv("TRAILBLAZER_CRON_NOTIFY", "[slack://secret, 5]")
    with pytest.raises(ConfigWrong) as refused:
        load_config(start=tmp_path)
    assert "secret" not in refused.value.what + refused.value.hint
    assert refused.value.what.endswith("is not a list of texts")


@pytest.fixture
def stamp(file: Path) -> Path:
    """The stamp of a project whose file was loaded once, and which has a var/."""
    file.write_text("dispatch: {workers: 3}\n")
    root = file.parent.parent
    (root / "var").mkdir()
    load_config(start=root)
    return root / STAMP


def test_what_was_checked_is_not_checked_again(stamp: Path) -> None:
    """The settings of a file that has not changed come from its stamp, which only its owner can read."""
    assert 0o600 == stamp.stat().st_mode & 0o777
    before = load_config(start=stamp.parent.parent)
    assert 3 == before["dispatch.workers"]
    document = json.loads(stamp.read_text())
    document["settings"]["dispatch.workers"] = [4, "the stamp"]
    stamp.write_text(json.dumps(document))
    found = load_config(start=stamp.parent.parent).settings["dispatch.workers"]
    assert (4, "the stamp") == (found.value, found.origin)


def test_a_changed_file_is_checked_anew(stamp: Path, file: Path) -> None:
    """A stamp of another file, of another version or of another folder does not count."""
    file.write_text("dispatch: {workers: 5}\n")
    assert 5 == load_config(start=file.parent.parent)["dispatch.workers"]
    file.write_text("dispatch: {workers: many}\n")
    assert _refused(file.parent.parent)
    assert stamp.is_file()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"digest": 1}', "\xff", "null"])
def test_a_broken_stamp_is_no_stamp(stamp: Path, text: str) -> None:
    """Half a stamp, or one that is something else, is made anew."""
    stamp.write_text(text)
    assert 3 == load_config(start=stamp.parent.parent)["dispatch.workers"]
    assert "dispatch.workers" in json.loads(stamp.read_text())["settings"]


def test_a_stamp_that_is_a_link_is_not_followed(stamp: Path) -> None:
    """Rule 7: links are not followed."""
    moved = stamp.rename(stamp.parent / "elsewhere")
    moved.write_text(moved.read_text().replace('"dispatch.workers":[3', '"dispatch.workers":[9'))
    stamp.symlink_to(moved)
    assert 3 == load_config(start=stamp.parent.parent)["dispatch.workers"]


@pytest.mark.parametrize("text", ["db: {url: 'postgresql://u:secret@h/d'}", "paths: {var: other}"])
def test_secrets_and_other_places_get_no_stamp(file: Path, text: str) -> None:
    """Rule 7: a password is written nowhere; and var/ is not used where the file names another folder."""
    root = file.parent.parent
    (root / "var").mkdir()
    file.write_text(text)
    load_config(start=root)
    assert [] == list((root / "var").iterdir())


def test_flags_variables_and_a_missing_var_make_no_stamp(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the file says alone is kept, and var/ never appears by surprise."""
    root = file.parent.parent
    file.touch()
    load_config(start=root)
    assert not (root / "var").exists()
    (root / "var").mkdir()
    load_config({"dispatch.workers": 2}, root)
    monkeypatch.setenv(variable("dispatch.workers"), "7")
    assert 7 == load_config(start=root)["dispatch.workers"]
    assert [] == list((root / "var").iterdir())


def test_a_tilde_is_the_home_folder_in_every_configured_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, the checkouts by name and the program of a command are expanded; the other words of a command are not."""
    monkeypatch.setenv("HOME", "/somewhere")
    tracker = "tracker: {source: ~/issues.json, command: [~/bin/bd, ~/x]}"
    file.write_text(f"paths: {{var: ~/state}}\n{tracker}\nnightly: {{repos: {{a: ~/a}}}}\n")
    config = load_config(start=file.parents[1])
    assert Path("/somewhere/state") == config.places.var
    assert "/somewhere/issues.json" == config["tracker.source"]
    assert ["/somewhere/bin/bd", "~/x"] == config["tracker.command"]
    assert {"a": "/somewhere/a"} == config["nightly.repos"]


def test_every_setting_that_names_a_folder_is_a_configured_path() -> None:
    """A setting that is relative to the folder of config/ is expanded as well."""
    named = {key for key, schema in known_keys().items() if "relative to the folder" in schema["description"]}
    assert set() == named - set(CONFIGURED_PATHS)
