"""The one configuration file, overridden by TRAILBLAZER_* variables and then by flags."""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trailblazer import schemas
from trailblazer.atomic import read_regular
from trailblazer.errors import ConfigWrong, Trouble
from trailblazer.paths import CONFIG_NAME, CONFIGURED_PATHS, Places, at_home, find_root

PREFIX = "TRAILBLAZER_"
STAMP = Path("var/.config_stamp.json")
MOST_BYTES = 1 << 20  # of a stamp
_MOST_PARTS = 10_000  # of a YAML file that is read with its lines: each takes its time


@dataclass(frozen=True, slots=True)
class Setting:
    """One configured value and where it came from (`config/.trailblazer.yaml:7`, a variable, a flag, default)."""

    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """What applies, by dotted key (`dispatch.workers`), and the folders it applies to."""

    settings: Mapping[str, Setting]
    places: Places

    def __getitem__(self, key: str) -> Any:
        return self.settings[key].value


def known_keys() -> dict[str, dict[str, Any]]:
    """Return every dotted key with its schema, in the order of the schema."""
    return {
        f"{section}.{key}": schema
        for section, part in schemas.load("config")["properties"].items()
        for key, schema in part["properties"].items()
    }


def is_secret(key: str) -> bool:
    """Say whether the value of a dotted key may hold a password: it is never shown as it is."""
    return bool(known_keys()[key].get("writeOnly"))


def variable(key: str) -> str:
    """Return the environment variable of a dotted key: dispatch.workers is TRAILBLAZER_DISPATCH_WORKERS."""
    return PREFIX + key.upper().replace(".", "_")


def load_config(flags: Mapping[str, Any] | None = None, start: Path | None = None) -> Config:
    """Return the configuration that applies in a working folder.

    `flags` maps dotted keys to values from the command line; None means the flag was not given.
    Every mistake is refused with ConfigWrong (exit 3), all of them at once, each with its place. What the file alone
    says is checked once per change: a stamp in var/ keeps it.
    """
    start = start or Path.cwd()
    root = find_root(start)
    base = root or start
    others = [name for name in os.environ if name.startswith(PREFIX)]
    others += [key for key, value in (flags or {}).items() if value is not None]
    digest = _digest(root) if root is not None and not others else ""
    settings = _read_stamp(base, digest) if digest else {}
    if not settings:
        settings = _read_settings(flags or {}, root)
        if digest:
            _write_stamp(base, digest, settings)
    settings |= {key: Setting(at_home(settings[key].value), settings[key].origin) for key in CONFIGURED_PATHS}
    return Config(settings, Places(base, base / settings["paths.var"].value))


def _read_settings(flags: Mapping[str, Any], root: Path | None) -> dict[str, Setting]:
    settings = {key: Setting(schema["default"], "default") for key, schema in known_keys().items()}
    mistakes: list[str] = []
    if root is not None:
        settings.update(_from_file(root / CONFIG_NAME, mistakes))
    settings.update(_from_environment(os.environ, mistakes))
    settings.update(
        (key, Setting(value, "--" + key.split(".")[-1].replace("_", "-")))
        for key, value in flags.items()
        if value is not None
    )
    mistakes += _violations(settings)
    if mistakes:
        raise ConfigWrong(mistakes[0], "\n".join([*mistakes[1:], "Keys and limits: schemas/config.schema.json"]))
    return settings


def _digest(root: Path) -> str:
    """Return the digest of all that the settings of a project's file come from; empty when that cannot be read."""
    import hashlib

    with contextlib.suppress(OSError):
        files = (root / CONFIG_NAME, schemas.folder() / "config.schema.json")
        parts = (os.fsencode(root), *(file.read_bytes() for file in files))
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    return ""


def _read_stamp(root: Path, digest: str) -> dict[str, Setting]:
    """Return the settings that were checked under that digest; none when there is no such stamp, or half of one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        document = json.loads(read_regular(root / STAMP, MOST_BYTES, follow_links=False))
        if document["digest"] == digest:
            return {key: Setting(value, origin) for key, (value, origin) in document["settings"].items()}
    return {}


def _write_stamp(root: Path, digest: str, settings: Mapping[str, Setting]) -> None:
    """Keep checked settings in var/, where that is there already. Settings with a secret are kept nowhere (rule 7)."""
    has_secret = any(setting.value and is_secret(key) for key, setting in settings.items())
    if has_secret or settings["paths.var"].value != STAMP.parent.name or not (root / STAMP.parent).is_dir():
        return
    kept = {key: [setting.value, setting.origin] for key, setting in settings.items()}
    with contextlib.suppress(Trouble, TypeError):  # it only saves time; YAML has values that JSON has not
        if json.loads(json.dumps(kept)) == kept:
            schemas.publish("config_stamp", {"digest": digest, "settings": kept}, root / STAMP, durable=False)


def _violations(settings: Mapping[str, Setting]) -> list[str]:
    nested: dict[str, dict[str, Any]] = {}
    for key, setting in settings.items():
        section, name = key.split(".", 1)
        nested.setdefault(section, {})[name] = setting.value
    found = []
    for violation in schemas.violations_in("config")(nested):
        place = violation.split(":", 1)[0].removeprefix("$.")
        key = next((name for name in settings if place == name or place.startswith((f"{name}.", f"{name}["))), "")
        if key and is_secret(key):
            what = "a list of texts" if "array" in known_keys()[key]["type"] else "text"
            limits = f" that matches {known_keys()[key]['pattern']}" if "pattern" in known_keys()[key] else ""
            violation = f"$.{key}: the value (not shown: it may hold a password) is not {what}{limits}"
        found.append(f"{settings[key].origin}: {violation}" if key else violation)
    return found


def _from_environment(environment: Mapping[str, str], mistakes: list[str]) -> dict[str, Setting]:
    names = sorted(name for name in environment if name.startswith(PREFIX))
    if not names:
        return {}
    import yaml

    keys = {variable(key): key for key in known_keys()}
    found = {}
    for name in names:
        if name in keys:
            key = keys[name]
            kinds = known_keys()[key]["type"]
            text = environment[name]
            try:
                is_secret_text = "://" in text or (is_secret(key) and text not in {"", "null"})
                is_text = kinds == "string" or (is_secret_text and "array" not in kinds)
                is_list = "array" in kinds and text != "null" and not text.lstrip().startswith("[")
                value = text.split() if is_list else text if is_text else _loader()(text).get_single_data()
            except yaml.YAMLError:
                value = text
            found[key] = Setting(value, name)
        else:
            mistakes.append(f"{name} is not a setting{_nearest(name, keys)}")
    return found


def _nearest(name: str, right: Mapping[str, Any]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(right), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(right)}"


def read_yaml(file: Path) -> Any:
    """Return what a YAML file holds; one that cannot be read, or is not YAML, is refused with ConfigWrong."""
    return value_of(compose(file), file)


def value_of(node: Any, file: Path) -> Any:
    """Return what the nodes of a YAML file hold; what is not plain YAML is refused with ConfigWrong and its line."""
    import yaml

    try:
        return None if node is None else _construct(node)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigWrong(f"{file}{line_of(error)}: not plain YAML: {problem}", "Mend that value.") from error


def line_of(error: Exception) -> str:
    """Return `:LINE` for the place that an error of YAML names, empty when it names none."""
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""


def compose(file: Path, most: int | None = None) -> Any:
    """Return the nodes of a YAML file, which know their lines; with `most` only of a regular file of so many bytes."""
    import yaml

    try:
        text = file.read_text("utf-8") if most is None else read_regular(file, most, follow_links=False).decode("utf-8")
        loader = _loader()(text)
        loader.left = math.inf if most is None else _MOST_PARTS
        return loader.get_single_node()
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise ConfigWrong(f"cannot read {file}: {why}", "Look at that file's rights.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        problem = re.sub(r"(alias|anchor|tag handle) '[^']*'", r"\1", problem)  # it may be part of a password
        raise ConfigWrong(f"{file}{line_of(error)}: not YAML: {problem}", "Mend that line.") from error


def _from_file(file: Path, mistakes: list[str]) -> dict[str, Setting]:
    """Return the settings of the file by dotted key; what is wrong with it is added to the mistakes."""
    import yaml

    tree = compose(file)
    found: dict[str, Setting] = {}
    sections: dict[str, dict[str, Any]] = {
        name: part["properties"] for name, part in schemas.load("config")["properties"].items()
    }
    for section, at, body in _pairs(tree, file, mistakes):
        if section not in sections:
            mistakes.append(f"{at}: {_shown(section)} is not a key{_nearest(section, sections)}")
            continue
        for key, place, node in _pairs(body, file, mistakes):
            if key not in sections[section]:
                shown = _shown(key, any(is_secret(f"{section}.{name}") for name in sections[section]))
                mistakes.append(f"{place}: {section}.{shown} is not a key{_nearest(key, sections[section])}")
                continue
            try:
                found[f"{section}.{key}"] = Setting(_construct(node), place)
            except (yaml.YAMLError, ValueError):
                mistakes.append(f"{place}: the value of {section}.{key} is not a plain YAML value")
    return found


@functools.cache
def _loader() -> type[Any]:
    """Return a loader of YAML that refuses deep nesting, which the ordinary loader would follow by recursion."""
    import yaml

    class ShallowLoader(yaml.SafeLoader):
        depth, left = 0, math.inf  # `left` is how many parts may come

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.depth > schemas.DEEPEST or self.left <= 0:
                problem = (
                    "it has too many parts" if self.left <= 0 else f"it is nested more than {schemas.DEEPEST} deep"
                )
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.get_mark())
            self.depth, self.left = self.depth + 1, self.left - 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    return ShallowLoader


def _shown(key: str, is_beside_secret: bool = False) -> str:
    """Return a key as a mistake names it: not what may be an address with a password, or a password itself."""
    return key if key.replace("_", "").replace("-", "").isalnum() and not is_beside_secret else "…"


def _pairs(node: Any, file: Path, mistakes: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield key, `file:line` and node of each pair of a YAML mapping; a key that is there twice is a mistake."""
    import yaml

    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
        return
    if not isinstance(node, yaml.MappingNode):
        mistakes.append(f"{file}:{node.start_mark.line + 1}: a mapping of keys to values belongs here")
        return
    seen: set[str] = set()
    for key_node, value_node in node.value:
        key, place = str(key_node.value), f"{file}:{key_node.start_mark.line + 1}"
        if key in seen:
            is_known = any(key in name.split(".") for name in known_keys())
            mistakes.append(f"{place}: {key if is_known else '…'} is there twice")
        seen.add(key)
        yield key, place, value_node


def _construct(node: Any) -> Any:
    import yaml

    return yaml.SafeLoader("").construct_document(node)
