"""The files of the project as git knows them, and what their Python says."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "helpers" / "trailblazer"
BINARIES = Path(CHECKOUT / ".venv" / "bin")


@functools.cache
def project_files() -> tuple[Path, ...]:
    """Return every file that is, or would be, in the repository; without git every file beside var/ and .venv."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        found = [path.relative_to(CHECKOUT) for path in CHECKOUT.rglob("*")]
        names = [path for path in found if not path.parts[0].startswith((".venv", "var", ".git", "."))]
    else:
        names = [Path(name) for name in listed.stdout.split("\0") if name]
    return tuple(sorted(CHECKOUT / name for name in names if (CHECKOUT / name).is_file()))


def python_files(folder: str) -> list[Path]:
    """Return the Python files in a folder of the checkout."""
    return [path for path in project_files() if path.suffix == ".py" and path.is_relative_to(CHECKOUT / folder)]


def shell_files() -> list[Path]:
    """Return every shell script, bats file and what they source."""
    kinds = {".sh", ".bash", ".bats"}
    return [path for path in project_files() if path.suffix in kinds or path == CHECKOUT / ".ci" / "run"]


@functools.cache
def parsed(file: Path) -> ast.Module:
    """Return a Python file as a tree."""
    return ast.parse(file.read_text(), str(file))


def shown(file: Path) -> str:
    """Return a path as a person names it: from the checkout on."""
    return str(file.relative_to(CHECKOUT))


def module_name(file: Path) -> str:
    """Return the dotted name of a module of the package, without the package's own: `database.server`, `cli`."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") or "__init__"


def modules() -> dict[str, Path]:
    """Return every module of the package by its name."""
    return {module_name(file): file for file in python_files("helpers") if file.is_relative_to(PACKAGE)}


def imports_of(file: Path) -> set[str]:
    """Return what a file imports anywhere in it, in functions and for types too, by full dotted name."""
    found: set[str] = set()
    waiting: list[ast.AST] = [parsed(file)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        waiting += ast.iter_child_nodes(node)
    return found
