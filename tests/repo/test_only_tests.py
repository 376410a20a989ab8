"""What the package defines, the package uses: a name that only tests use is dead."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from repo.tree import modules, parsed

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Uses:
    """What one module uses. Beside a word stand the definitions around it, outermost first."""

    words: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    attributes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    imported: set[str] = field(default_factory=set)  # `module.name`, without `trailblazer.`
    asked_for: set[str] = field(default_factory=set)  # by getattr
    loads_modules: bool = False  # by importlib: then an attribute may be a name of any module


def uses_in(tree: ast.Module) -> Uses:
    """Return what a module uses of itself and of others."""
    found, aliases = Uses(), dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trailblazer"):
            room = (node.module or "").removeprefix("trailblazer").removeprefix(".")
            for name in node.names:
                aliases[name.asname or name.name] = f"{room}.{name.name}".removeprefix(".")
    found.imported |= set(aliases.values())
    _walk(tree, (), found, aliases)
    return found


def _walk(node: ast.AST, around: tuple[str, ...], found: Uses, aliases: dict[str, str]) -> None:
    if isinstance(node, Definition):
        around = (*around, node.name)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        found.words.append((node.id, around))
    elif isinstance(node, ast.Attribute):
        found.attributes.append((node.attr, around))
        found.loads_modules |= node.attr == "import_module"
        if isinstance(node.value, ast.Name) and node.value.id in aliases:
            found.imported.add(f"{aliases[node.value.id]}.{node.attr}")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
        found.asked_for |= {str(word.value) for word in node.args[1:2] if isinstance(word, ast.Constant)}
    for child in ast.iter_child_nodes(node):
        _walk(child, around, found, aliases)


def defined_in(tree: ast.Module) -> Iterator[tuple[str, ...]]:
    """Yield the functions, classes and constants of a module, and the methods of its classes but magic ones."""
    for node in tree.body:
        if isinstance(node, Definition):
            yield (node.name,)
        if isinstance(node, ast.ClassDef):
            methods = [inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)]
            yield from ((node.name, name) for name in methods if not name.startswith("__"))
        given = node.targets if isinstance(node, ast.Assign) else []
        given = [node.target] if isinstance(node, ast.AnnAssign) else given
        yield from ((target.id,) for target in given if isinstance(target, ast.Name) and not target.id.startswith("__"))


def is_called_from_outside(module: str, name: str, method: str) -> bool:
    """Say whether a method takes the place of one that a class of another package has."""
    bases = getattr(importlib.import_module(f"trailblazer.{module}"), name).__mro__
    return any(hasattr(base, method) for base in bases if not base.__module__.startswith("trailblazer"))


def unused(files: dict[str, Path]) -> list[str]:
    """Return each name that no module uses outside the name's own definition, as `module.name`."""
    uses = {module: uses_in(parsed(file)) for module, file in files.items()}
    imported = {name for said in uses.values() for name in said.imported}
    free = {name for said in uses.values() for name in said.asked_for}
    free |= {name for said in uses.values() if said.loads_modules for name, _ in said.attributes}
    dead = []
    for module, file in files.items():
        for path in defined_in(parsed(file)):
            name = path[-1]
            if name in free or f"{module}.{name}" in imported:
                continue
            if len(path) == 1:
                is_used = any(word == name and name not in around for word, around in uses[module].words)
            else:
                is_used = any(
                    word == name and (where != module or around[:2] != path)
                    for where, said in uses.items()
                    for word, around in said.attributes
                ) or is_called_from_outside(module, *path)
            if not is_used:
                dead.append(".".join((module, *path)))
    return sorted(dead)


# What the issues lane will use.


def test_the_package_uses_all_its_names() -> None:
    """Every function, class, method and constant is used by the package itself, not by tests alone."""
    assert set() == set(unused(modules()))


def test_a_dead_name_is_found(tmp_path: Path) -> None:
    """What only calls itself, or shares its name with a parameter elsewhere, is found; what is used is not."""
    (tmp_path / "one.py").write_text(
        "import importlib\nfrom trailblazer import two\nfrom trailblazer.two import ready\n"
        "def main(alone): return ready(two.LIMIT, alone, getattr(two, 'asked'), two.Box().open)\n"
        "def loop(): return loop()\n"
        "importlib.import_module('trailblazer.two').main()\n"
    )
    (tmp_path / "two.py").write_text(
        "LIMIT = 1\nUNUSED: int = 2\nasked = 3\ndef alone(): pass\ndef ready(*_): pass\n"
        "class Box:\n    def open(self): pass\n"
    )
    assert ["one.loop", "two.UNUSED", "two.alone"] == unused({"one": tmp_path / "one.py", "two": tmp_path / "two.py"})
