"""The embedded server starts anywhere, survives everything, and is stopped only on purpose."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from configured import config_of
from trailblazer.database import server, vitals
from trailblazer.database.connection import connect
from trailblazer.errors import ServiceDown
from trailblazer.paths import CONFIG_NAME

pytestmark = pytest.mark.proof

START = "import sys, pathlib; from trailblazer.database import server; print(server.start(pathlib.Path(sys.argv[1])))"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other accounts to choose from")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A project that every account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="trailblazer-open-"))
    (folder / CONFIG_NAME).parent.mkdir()
    (folder / CONFIG_NAME).touch()
    folder.chmod(0o777)
    yield folder
    server.stop(folder / "var" / "postgres")
    shutil.rmtree(folder)


def pid_of(base: Path) -> int:
    """Return the pid of the postmaster that runs."""
    pid = vitals.status(base).pid
    assert pid is not None
    return pid


def test_a_path_with_a_space_and_an_accent_is_served(base: Path) -> None:
    """B7: a var/ whose path has a space and an é has a server that is ready."""
    assert " é " in str(base)
    assert vitals.Status(True, True, pid_of(base), str(base), server.start(base)) == vitals.status(base)


def test_a_long_path_is_served(tmp_path: Path) -> None:
    """B7: the path of the socket stays under its 107 bytes however long that of var/ is."""
    base = tmp_path / ("x" * 120) / ("y" * 60) / "postgres"
    try:
        assert "/tmp/trailblazer-" in server.start(base)
    finally:
        server.stop(base)


def test_it_outlives_whoever_started_it(made: Path) -> None:
    """B7: the server that a command started runs on after it, in a session of its made, and stop ends it."""
    subprocess.run([sys.executable, "-c", START, str(made)], check=True, capture_output=True)
    pid = pid_of(made)
    assert pid == os.getsid(pid)
    assert server.stop(made)
    assert vitals.Status(False, False, None, str(made), None) == vitals.status(made)
    assert not vitals.socket_folder(made, (made / "data").stat().st_uid).exists()
    assert not server.stop(made)


def test_nothing_of_the_callers_environment_reaches_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G4: a wrong LANG, a PGPORT and a key in the environment neither break the server nor live on in it."""
    monkeypatch.setenv("LANG", "xx_YY.nothing")
    monkeypatch.setenv("LC_ALL", "xx_YY.nothing")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret")
    server.start(own)
    assert vitals.is_ready(own)
    if Path("/proc/self/environ").exists():
        assert b"sk-a-secret" not in Path(f"/proc/{pid_of(own)}/environ").read_bytes()
    with connect(config_of(own.parent.parent)) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_eight_starts_at_once_make_one_server(own: Path) -> None:
    """B7: eight processes that start the server of a fresh folder at once all get the address of the same one."""
    starts = [
        subprocess.Popen([sys.executable, "-c", START, str(own)], stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    said = {start.communicate(timeout=60)[0] for start in starts}
    assert [0] * 8 == [start.returncode for start in starts]
    assert {server.start(own) + "\n"} == said
    assert 1 == (own / "server.log").read_text().count("ready to accept connections")


def test_a_killed_postmaster_is_replaced(made: Path) -> None:
    """B7: after kill -9 of the postmaster the next connection starts a new server and finds what was committed."""
    config = config_of(made.parent.parent)
    with connect(config) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        pid = pid_of(made)
        os.kill(pid, signal.SIGKILL)
        with connect(config) as again:
            assert (42,) == again.execute("SELECT answer FROM kept").fetchone()
    assert pid != pid_of(made)


def test_a_zombie_is_not_taken_for_a_server(made: Path) -> None:
    """B7: a postmaster that was killed and that nobody has reaped (its parent is this process) does not run."""
    server.start(made)
    os.kill(pid_of(made), signal.SIGKILL)
    assert vitals.wait_until_gone(made, 10)
    assert not vitals.status(made).running
    assert (made / "data" / "postmaster.pid").exists()


def test_a_stale_pid_file_is_not_believed(made: Path) -> None:
    """B7: a pid file that names a living process of somebody else neither looks like a server nor stops a start."""
    server.start(made)
    lines = (made / "data" / "postmaster.pid").read_text().splitlines()
    server.stop(made)
    stale = "\n".join([str(os.getpid()), *lines[1:]]) + "\n"
    (made / "data" / "postmaster.pid").write_text(stale)
    assert not vitals.status(made).running
    assert not vitals.is_ours(made)
    assert not server.stop(made)
    server.start(made)
    assert os.getpid() != pid_of(made)


def test_half_a_data_folder_is_made_anew(own: Path) -> None:
    """B7: what an initdb that was killed left behind is neither started nor in the way."""
    (own / "data.init" / "base").mkdir(parents=True)
    (own / "data.init" / "PG_VERSION").write_text("18\n")
    server.start(own)
    assert vitals.is_ready(own)
    assert not (own / "data.init").exists()


def test_a_lost_socket_is_made_again(made: Path) -> None:
    """B7: when /tmp was cleaned under a running server, the next start brings it back within reach."""
    server.start(made)
    folder = vitals.socket_folder(made, (made / "data").stat().st_uid)
    shutil.rmtree(folder)
    config = config_of(made.parent.parent)
    with connect(config) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_a_socket_folder_of_somebody_else_is_refused(made: Path) -> None:
    """B7: a socket folder that others can enter may be a trap, so nothing connects through it."""
    server.start(made)
    folder = vitals.socket_folder(made, (made / "data").stat().st_uid)
    folder.chmod(0o777)
    with pytest.raises(ServiceDown, match="not a private folder"):
        connect(config_of(made.parent.parent))
    folder.chmod(0o700)


def test_a_start_that_fails_says_why(made: Path) -> None:
    """B7: when the server cannot start, the line from its log that says why is in the message."""
    server.start(made)
    server.stop(made)
    with (made / "data" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(ServiceDown, match="no_such_setting"):
        server.start(made)


@as_root
def test_root_runs_it_as_an_account_that_can_reach_it(open_folder: Path) -> None:
    """B7: root starts the server as postgres or nobody where such an account can enter the folder."""
    base = open_folder / "var é" / "postgres"
    base.parent.mkdir()
    base.parent.chmod(0o755)
    try:
        server.start(base)
        assert 0 != (base / "data").stat().st_uid
        assert 0 != Path(f"/proc/{pid_of(base)}").stat().st_uid
    finally:
        server.stop(base)


@as_root
def test_root_makes_a_way_where_there_is_no_user_namespace(
    open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: in a closed var/ and with programs in a closed folder root opens var/ for passing and copies the programs."""
    tools = open_folder / "bin"
    tools.mkdir()
    for tool in ("test", "env"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    package = server.find_binaries().parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, tmp_path / "closed" / part.name)
    monkeypatch.setenv("PATH", str(tools))
    base = open_folder / "var" / "postgres"
    base.mkdir(parents=True, mode=0o700)
    base.parent.chmod(0o700)
    server.start(base, tmp_path / "closed" / package.name / "pginstall" / "bin")
    assert 0o701 == base.parent.stat().st_mode & 0o777
    assert 0 != (base / "data").stat().st_uid
    assert str(base) in str(Path(f"/proc/{pid_of(base)}/exe").readlink())


@as_root
def test_root_without_a_way_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """B7: where no account can reach the folder and there is no user namespace, a hint names both ways out."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceDown, match="no account but root can enter") as refused:
        server.start(tmp_path / "var" / "postgres")
    assert "TRAILBLAZER_PATHS_VAR" in refused.value.hint
    assert "TRAILBLAZER_DB_URL" in refused.value.hint


def test_a_plain_user_starts_uses_and_stops_it(plain_user: list[str], open_folder: Path) -> None:
    """B7: somebody without any rights of root starts a server of his own, works with it and stops it."""
    for words, expected in (("start", "Started."), ("doctor", "All is well."), ("stop", "Stopped.")):
        done = subprocess.run(
            [*plain_user, "-m", "trailblazer", "db", words],
            cwd=open_folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, expected) == (done.returncode, done.stderr.strip()), done.stderr
    assert 0 != (open_folder / "var" / "postgres" / "data").stat().st_uid


def test_a_folder_of_another_user_is_refused(plain_user: list[str], open_folder: Path) -> None:
    """B7: a plain user learns who owns a server folder of another user."""
    if os.geteuid() != 0:
        pytest.skip("needs a folder of another user")
    base = open_folder / "var" / "postgres"
    base.mkdir(parents=True)
    base.parent.chmod(0o755)
    base.chmod(0o711)
    for words in ("start", "stop"):
        done = subprocess.run(
            [*plain_user, "-m", "trailblazer", "db", words],
            cwd=open_folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert 8 == done.returncode
        assert "belongs to uid 0" in done.stderr


def test_stop_leaves_a_server_that_is_not_ours_alone(made: Path) -> None:
    """B7: when a server of another container holds the folder, its pid here may be anybody's: nothing is signalled."""
    server.start(made)
    pid = pid_of(made)
    pid_file = made / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    began = time.monotonic()
    with pytest.raises(ServiceDown, match="not one of this machine's processes"):
        server.stop(made)
    assert time.monotonic() - began < 60
    pid_file.write_text("\n".join(lines) + "\n")
    assert pid == pid_of(made)
