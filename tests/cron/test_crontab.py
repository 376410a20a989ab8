"""The crontab of a user: our block comes and goes, every other byte stays, by the real crontab program (N7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cron.jobs import JobProject
from repo.tree import CHECKOUT
from trailblazer.cron.crontab import Block

OWN_CRON = str(CHECKOUT / "tests" / "fixtures" / "own_cron.sh")
LINE = "17 3 * * * scripts/cron.sh config show"
OTHERS = b"# mine\xff\xe9\nMAILTO=me\n\n0 5 * * 1  tar -zcf /var/backups/x.tgz $HOME; date +\\%F\n\t# end  \n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a folder of crontabs of its own")


@dataclass(frozen=True, slots=True)
class OwnCron:
    """A folder of crontabs that only this test sees, and a project."""

    project: JobProject
    spool: Path

    def call(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a program with these crontabs, in the project."""
        return subprocess.run(
            [OWN_CRON, str(self.spool), *words],
            cwd=self.project.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    def trailblazer(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run a verb with these crontabs."""
        return self.call(sys.executable, "-P", "-m", "trailblazer", "cron", *words)

    def put(self, content: bytes) -> None:
        """Make this the crontab, by the program crontab."""
        file = self.spool.with_name("new crontab")
        file.write_bytes(content)
        assert 0 == self.call("crontab", str(file)).returncode

    @property
    def content(self) -> bytes:
        """What crontab -l prints."""
        return self.call("crontab", "-l").stdout


@pytest.fixture
def own(project: JobProject, tmp_path: Path) -> OwnCron:
    """No crontab, and a project with one line."""
    project.write_crontab("# Show what applies.", LINE)
    return OwnCron(project, tmp_path / "spool")


@as_root
@pytest.mark.parametrize("others", [b"", OTHERS], ids=["alone", "with others"])
def test_lines_come_and_go(own: OwnCron, others: bytes) -> None:
    """After install the crontab is as before with the block behind it; after remove it is as before."""
    if others:
        own.put(others)
    installed = own.trailblazer("install")
    assert 0 == installed.returncode, installed.stderr.decode()
    assert others + installed.stdout == own.content
    folder = str(own.project.folder)
    assert installed.stdout.decode().splitlines() == [
        f"# BEGIN trailblazer {folder}",
        "# Show what applies.",
        "17 3 * * * cd '"
        + folder.replace("'", "'\"'\"'").replace("%", r"\%")
        + f"' && {CHECKOUT}/scripts/cron.sh config show",
        f"# END trailblazer {folder}",
    ]
    assert 0 == own.trailblazer("remove").returncode
    assert others == own.content


@as_root
def test_a_second_install_changes_nothing(own: OwnCron) -> None:
    """The second install and the second remove do not even write the crontab; a changed line is changed in place."""
    own.trailblazer("install")
    own.put(own.content + OTHERS)
    crontab = own.spool / "root"
    written, before = crontab.stat().st_mtime_ns, own.content
    second = own.trailblazer("install")
    assert (0, b"") == (second.returncode, second.stdout)
    assert b"Nothing changed" in second.stderr
    assert written == crontab.stat().st_mtime_ns
    own.project.write_crontab(LINE.replace("17 3", "18 4"))
    own.trailblazer("install")
    assert before.replace(b"# Show what applies.\n", b"").replace(b"17 3", b"18 4") == own.content
    assert 0 == own.trailblazer("remove").returncode == own.trailblazer("remove").returncode
    assert OTHERS == own.content


@as_root
def test_two_projects_share_a_crontab(own: OwnCron, tmp_path: Path) -> None:
    """Each project has a block of its own, and takes only its own out."""
    other = OwnCron(JobProject(tmp_path / "other"), own.spool)
    other.project.write_crontab(LINE)
    own.trailblazer("install")
    other.trailblazer("install")
    assert 2 == own.content.count(b"# BEGIN trailblazer ")
    own.trailblazer("remove")
    assert own.content.startswith(b"# BEGIN trailblazer " + os.fsencode(tmp_path / "other"))


@as_root
def test_a_dry_run_changes_nothing(own: OwnCron) -> None:
    """A dry run prints the crontab that would be, and leaves the one that is."""
    own.put(OTHERS)
    dry = own.trailblazer("install", "dry-run")
    assert 0 == dry.returncode
    assert OTHERS == own.content
    own.trailblazer("install")
    assert dry.stdout == own.content
    assert OTHERS == own.trailblazer("remove", "--dry-run").stdout
    assert dry.stdout == own.content


@as_root
def test_show_says_what_is_installed(own: OwnCron) -> None:
    """`cron show` prints the lines as they would be installed, whether they are, and how each job ended last."""
    before = own.trailblazer("show")
    assert b"1 line, not installed as they are" in before.stderr
    assert before.stdout == own.trailblazer("install").stdout
    assert b"1 line, installed\n" in own.trailblazer("show").stderr
    own.project.run("sh", "-c", "exit 6")
    assert b"job: failed " in own.trailblazer("show").stderr
    shown = json.loads(own.trailblazer("show", "--json").stdout)
    assert (True, "17 3 * * *", ["config", "show"]) == (
        shown["installed"],
        shown["lines"][0]["schedule"],
        shown["lines"][0]["words"],
    )
    assert 1 == shown["jobs"][0]["failuresInARow"]


@as_root
def test_a_wrong_line_installs_nothing(own: OwnCron) -> None:
    """One wrong line among right ones is exit 3, and the crontab stays as it is."""
    own.put(OTHERS)
    own.project.write_crontab(LINE, LINE.replace("17 3", "61 3"))
    done = own.trailblazer("install")
    assert 3 == done.returncode
    assert b"config/crontab:2: '61 3 * * *': bad minute" in done.stderr
    assert OTHERS == own.content


@as_root
def test_half_a_block_is_refused(own: OwnCron) -> None:
    """A block that lost a mark is exit 3 and a hint: no line of others is taken for ours."""
    own.trailblazer("install")
    own.put(own.content.rsplit(b"# END", 1)[0] + OTHERS)
    before = own.content
    for action in ("install", "remove"):
        done = own.trailblazer(action)
        assert 3 == done.returncode
        assert b"Mend it with crontab -e" in done.stderr
    assert before == own.content


@as_root
def test_a_user_who_may_not_use_cron(own: OwnCron) -> None:
    """A refusal of crontab is exit 8 with its own words, never taken for an empty crontab."""
    planted = own.project.folder / "bin"
    planted.mkdir()
    (planted / "crontab").write_text(
        "#!/bin/sh\necho 'You (x) are not allowed to use this program (crontab)' >&2; exit 1\n"
    )
    (planted / "crontab").chmod(0o700)
    done = own.project.trailblazer("cron", "install", PATH=f"{planted}:/usr/bin:/bin")
    assert 8 == done.returncode
    assert "cron: cannot read the crontab: You (x) are not allowed" in done.stderr


def test_without_crontab(project: JobProject) -> None:
    """Without the program crontab install and remove are exit 8 and a hint; show shows the lines."""
    project.write_crontab(LINE)
    nothing = str(project.folder)
    for action in ("install", "remove"):
        done = project.trailblazer("cron", action, PATH=nothing)
        assert 8 == done.returncode
        assert ["cron: crontab is not installed", "  Debian and Ubuntu: apt-get install cron."] == [
            done.stderr.splitlines()[0],
            done.stderr.splitlines()[1].split(" With")[0],
        ]
    shown = project.trailblazer("cron", "show", PATH=nothing)
    assert 0 == shown.returncode
    assert "config show\n" in shown.stdout


def test_a_crontab_without_a_last_line_end() -> None:
    """A crontab whose last line does not end keeps that line as a line of its own."""
    block = b"# BEGIN trailblazer /p\nx\n# END trailblazer /p\n"
    assert b"0 5 * * * a\n" + block == Block(Path("/p")).replaced_in(b"0 5 * * * a", block)
    assert b"0 5 * * * a" == Block(Path("/p")).replaced_in(b"0 5 * * * a", b"")
