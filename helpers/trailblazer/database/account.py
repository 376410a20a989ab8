"""Which account the embedded server runs as, since Postgres refuses to run as root."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trailblazer.errors import ServiceDown

SEARCHABLE = 0o001


@dataclass(frozen=True, slots=True)
class Account:
    """An account that can run the server: its user, its group, and what a command needs to run as this account."""

    name: str
    uid: int
    gid: int
    binaries: Path
    prefix: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the words that run one of the server's programs as this account."""
        return [*self.prefix, str(self.binaries / program), *arguments]

    def own(self, folder: Path) -> None:
        """Give a folder and all that is in it to this account, when it is not its own already."""
        if folder.lstat().st_uid != self.uid:
            for entry in (folder, *folder.rglob("*")):
                os.chown(entry, self.uid, self.gid, follow_symlinks=False)


def choose_account(base: Path, binaries: Path) -> Account:
    """Return the account that runs the server of a folder that exists.

    A plain user runs the server as this user. Root tries these accounts in order: the owner of the data, postgres,
    nobody. The first one that can enter the folder and run the programs is taken. If none can, root tries a
    user namespace of its own. The last resort is a searchable `var/`, with a copy of the programs if need be.
    """
    if os.geteuid() != 0:
        return Account("this user", os.geteuid(), os.getegid(), binaries, (), {"cwd": "/"})
    base.chmod(0o711)
    candidates = _candidates(base, binaries)
    for account in candidates:
        if _can(account, base) and _runs(account):
            return account
    namespace = Account("root, in a user namespace", 0, 0, binaries, ("unshare", "-U"), {"cwd": "/"})
    if shutil.which("unshare") and _can(namespace, base) and _runs(namespace):
        return namespace
    _make_searchable(base.parent)
    for account in candidates:
        if _can(account, base):
            return account if _runs(account) else _with_copy(account, base)
    raise ServiceDown(
        f"no account but root can enter {base}, and Postgres does not run as root",
        "Set TRAILBLAZER_PATHS_VAR to a folder that others can enter, or TRAILBLAZER_DB_URL to a server.",
    )


def refuse_foreign(base: Path) -> None:
    """Refuse a base that belongs to another user. Root is not refused: it acts as the owner."""
    owner = base.stat().st_uid
    if os.geteuid() not in {0, owner}:
        raise ServiceDown(
            f"{base} belongs to uid {owner}, and this is uid {os.geteuid()}",
            "Run as that user, or set TRAILBLAZER_PATHS_VAR to a folder of your own.",
        )


def _candidates(base: Path, binaries: Path) -> list[Account]:
    owner = base.stat().st_uid
    entries = []
    with contextlib.suppress(KeyError):
        entries = [pwd.getpwuid(owner)] if owner else []
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entries.append(pwd.getpwnam(name))
    return [
        Account(
            entry.pw_name,
            entry.pw_uid,
            entry.pw_gid,
            binaries,
            options={"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"},
        )
        for entry in entries
    ]


def _can(account: Account, base: Path) -> bool:
    """Say whether an account can reach the base. The mode of the base itself lets everybody in."""
    return _succeeds(account, [*account.prefix, "test", "-x", str(base)])


def _runs(account: Account) -> bool:
    return all(_succeeds(account, account.command(program, "-V")) for program in ("postgres", "initdb"))


def _succeeds(account: Account, command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=30,
            **account.options,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _make_searchable(folder: Path) -> None:
    """Let others pass through var/ without listing it. The files inside keep their own rights."""
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | SEARCHABLE)


def _with_copy(account: Account, base: Path) -> Account:
    """Return the account with a copy of the programs (40 MB) inside the base, made once for each of their versions."""
    package, program = account.binaries.parents[1], (account.binaries / "postgres").stat()
    copy = base / f"programs-{program.st_size}-{int(program.st_mtime)}"
    if not copy.is_dir():
        draft = base / "programs.draft"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(account.binaries.parent, draft / package.name / account.binaries.parent.name)
        libraries = package.with_name(f"{package.name}.libs")  # found by its place beside the package
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        draft.rename(copy)
    for entry in (copy, *copy.rglob("*")):
        os.chown(entry, account.uid, account.gid, follow_symlinks=False)
    return replace(account, binaries=copy / package.name / account.binaries.parent.name / account.binaries.name)
