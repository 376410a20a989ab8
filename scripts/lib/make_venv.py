"""Make or repair .venv from the hashed locks. scripts/bootstrap.sh runs it; it imports the standard library only."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

LOCK = "requirements.lock"
EXTRA_LOCKS = {extra: f"requirements-{extra}.lock" for extra in ("minilm", "apprise", "browser")}
VENV = Path(".venv")
STAMP = VENV / ".stamp"
WHEELS = "The lock has wheels for Python 3.11 to 3.14. PYTHON=/path/to/python3 chooses another Python."
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "UV_PYTHON_DOWNLOADS": "never"}


def main(checkout: str, *words: str) -> int:
    """Bring .venv up to date. A second process waits for the first, and then finds nothing to do."""
    os.chdir(checkout)
    if words == ("path",):
        print(f"This puts just and trailblazer on the PATH:  {path_line()}")
        return 0
    if not set(words) <= EXTRA_LOCKS.keys():
        refuse(2, f"unknown words: {' '.join(words)}", "Try: scripts/bootstrap.sh help")
    if is_ready(locks(*words)):
        return 0
    with Path(LOCK).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.set_inheritable(held.fileno(), True)  # the next bootstrap waits for a pip that outlives a killed one
        if not is_ready(locks(*words)):
            build(locks(*words))
    return 0


def path_line() -> str:
    """Return the line that puts just and trailblazer on the PATH of a shell."""
    return f'export PATH={shlex.quote(str(Path.cwd() / VENV / "bin"))}:"$PATH"'


def locks(*words: str) -> list[str]:
    """Return the locks that .venv is made from; an extra stays once it was installed."""
    installed = STAMP.read_text() if STAMP.exists() else ""
    return [LOCK, *(lock for extra, lock in EXTRA_LOCKS.items() if extra in words or lock in installed)]


def made_by() -> str:
    """Return the interpreter and the folder of .venv: when one of them changes, .venv must be made again."""
    return f"{sys.implementation.cache_tag} {'.'.join(map(str, sys.version_info[:3]))} {Path.cwd()}"


def stamp(chosen: list[str]) -> str:
    """Return the text of the stamp: what made .venv, and the fingerprint of each file it was made from."""
    prints = [f"{name} {hashlib.sha256(Path(name).read_bytes()).hexdigest()}" for name in ["pyproject.toml", *chosen]]
    return "\n".join([made_by(), *prints, ""])


def is_ready(chosen: list[str]) -> bool:
    """Say whether .venv is finished, and was made from these locks by this interpreter in this folder."""
    programs = [VENV / "bin/python", VENV / "bin/trailblazer"]
    return all(program.exists() for program in programs) and STAMP.exists() and STAMP.read_text() == stamp(chosen)


def build(chosen: list[str]) -> None:
    """Install the locks and the checkout. First remove a .venv that is unfinished, was moved or has another Python."""
    started = time.monotonic()
    is_kept = (VENV / "bin/python").exists() and (not STAMP.exists() or STAMP.read_text().startswith(made_by() + "\n"))
    if VENV.exists() and not is_kept:
        shutil.rmtree(VENV)
    say(f"{'updating' if is_kept else 'making'} .venv with Python {sys.version.split()[0]}")
    VENV.mkdir(exist_ok=True)
    STAMP.write_text(" ".join(["unfinished", *chosen]))
    uv = shutil.which("uv")
    try:
        fill(uv, chosen)
    except subprocess.CalledProcessError:
        if not uv:
            raise
        say("uv failed; trying pip")  # an old uv, or certificates that only pip knows
        fill(None, chosen)
    STAMP.write_text(stamp(chosen))
    say(f"ready after {time.monotonic() - started:.0f} s")


def fill(uv: str | None, chosen: list[str]) -> None:
    """Make .venv and install the locks and the checkout, with uv or with pip."""
    base = getattr(sys, "_base_executable", sys.executable)
    by_uv = [uv or "", "venv", "--quiet", "--allow-existing", "--python", base, str(VENV)]
    run(by_uv if uv else [base, "-m", "venv", str(VENV)])
    for lock in chosen:
        # wheels only: a source archive would be built by tools that have no hash
        install(uv, ["--require-hashes", "--only-binary", ":all:", "-r", lock])
    install(uv, ["--no-build-isolation", "-e", "."])


def install(uv: str | None, words: list[str]) -> None:
    """Install what is named, and nothing else, with uv or with pip."""
    python = str(VENV / "bin/python")
    if uv:
        run([uv, "pip", "install", "--python", python, "--no-deps", *words])
    else:
        run([python, "-I", "-m", "pip", "install", "--no-deps", *words], shown=("Collecting", "Installing", "Building"))


def run(command: list[str], shown: tuple[str, ...] = ()) -> None:
    """Run one command. Show its output on stderr: every line, or only lines that begin with a word of `shown`."""
    with subprocess.Popen(
        command,
        env=os.environ | QUIET,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        close_fds=False,
    ) as child:
        for line in child.stdout or ():
            if not shown or line.strip().startswith(shown):
                show(" ".join(line.split()[:2]) if shown else line.rstrip())
        show("", last=True)
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, command)


def show(line: str, *, last: bool = False) -> None:
    """Show progress. On a terminal each line replaces the line before it; the last call clears the line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{'' if last else '  '}{line}", end="", file=sys.stderr, flush=True)
    elif not last:
        print(f"  {line}", file=sys.stderr, flush=True)


def say(line: str) -> None:
    """Print one line for people."""
    print(f"bootstrap: {line}", file=sys.stderr, flush=True)


def refuse(code: int, what: str, hint: str) -> NoReturn:
    """Print what is wrong and what to do, and exit."""
    say(f"{what}\n  {hint}")
    sys.exit(code)


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; run the same command again")
        sys.exit(130)
    except subprocess.CalledProcessError as error:
        what = "The lines above say why. Run the same command again: downloads are kept."
        refuse(8, f"this command failed: {shlex.join(error.cmd)}", f"{what}\n  {WHEELS}")
    except OSError as error:
        refuse(
            8,
            f"cannot work on {error.filename or VENV}: {error.strerror or error}",
            "Check the permissions of that path.",
        )
