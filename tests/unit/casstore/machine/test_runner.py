"""Other programs: no shell, no environment by accident, no survivor, nothing unbounded."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attest.errors import BadInput
from casstore.errors import NoSuchObject
from casstore.machine import runner, seclusion
from casstore.machine.runner import NetworkUse


def python(code: str, **options: object) -> runner.CommandResult:
    return runner.run([sys.executable, "-c", code], cwd="/", **options)  # type: ignore[arg-type]


def test_output_exit_code_and_measures() -> None:
    result = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (result.stdout, result.stderr, result.exit_code, result.ok) == (b"out\n", b"err\n", 3, False)
    assert 0 < result.cpu_seconds < 60 and result.seconds > 0
    assert 1_000_000 < result.max_rss < 4_000_000_000


def test_no_shell(tmp_path: Path) -> None:
    result = runner.run(["echo", "$HOME; touch x"], cwd=str(tmp_path))
    assert result.stdout == b"$HOME; touch x\n"
    assert os.listdir(tmp_path) == []
    with pytest.raises(BadInput, match="list of words"):
        runner.run("echo hello", cwd=str(tmp_path))
    with pytest.raises(BadInput):
        runner.run(["echo", "a\0b"], cwd=str(tmp_path))


def test_the_environment_is_an_allowlist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASSTORE_PASSWORD", "secret")
    monkeypatch.setenv("MINE", "yes")
    shown = python("import os; print(dict(os.environ))", env_allow=("PATH", "MINE"), env={"ADDED": "1"}).stdout
    assert b"secret" not in shown and b"'MINE': 'yes'" in shown and b"'ADDED': '1'" in shown


def test_standard_input_is_closed() -> None:
    assert python("import sys; print(len(sys.stdin.read()))").stdout == b"0\n"


def test_late_programs_die_with_their_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(1.5); open({str(mark)!r}, 'w')"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    began = time.monotonic()
    result = python(code, timeout=0.5)
    assert result.timed_out and not result.ok and time.monotonic() - began < 10
    time.sleep(2)
    assert not mark.exists()


def test_of_too_much_output_the_beginning_and_the_end_are_kept() -> None:
    result = python("import sys; sys.stdout.write('first' + 'x' * 5_000_000 + 'last')", max_output=1000)
    note = b"\n[4999009 bytes left out]\n"
    assert result.stdout.startswith(b"firstx") and result.stdout.endswith(b"xlast") and note in result.stdout
    assert len(result.stdout) == 1000 + len(note)
    assert result.truncated and result.exit_code == 0 and result.output_bytes == (5_000_009, 0)


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_output_within_the_limit_is_whole(size: int) -> None:
    result = python(f"import sys; sys.stdout.write('y' * {size})", max_output=1000)
    assert result.stdout == b"y" * size and not result.truncated


def test_who_leaves_the_group_with_an_open_pipe_holds_nobody_up() -> None:
    child = "import os, time; os.setsid(); time.sleep(60); os.write(1, b'late')"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); print('done', flush=True)"
    code += "; import time; time.sleep(0.5)"
    began = time.monotonic()
    result = python(code)
    assert result.stdout == b"done\n" and time.monotonic() - began < 50


def test_ctrl_c_ends_the_program_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = (
        "import signal; from casstore.machine import runner\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job of a shell ignores it
        f"runner.run(['sh', '-c', {sys.executable!r} + ' -c \"$0\" & wait', {child!r}], cwd='/')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    pid = int(pid_file.read_text())
    while ended(pid) is False and time.monotonic() < until:
        time.sleep(0.05)
    assert ended(pid)


def ended(pid: int) -> bool:
    """Gone, or dead and only not yet buried by whoever inherited it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists():
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout[:1] in (
        b"",
        b"Z",
    )


def test_many_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: python(f"print({n})"), range(24)))
    assert [int(r.stdout) for r in results] == list(range(24)) and all(r.ok and r.max_rss > 0 for r in results)


def test_memory_is_bounded() -> None:
    assert python("x = b'x' * 2_000_000_000", max_memory=1_000_000_000).exit_code != 0


def test_what_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(NoSuchObject, match="no such program"):
        runner.run(["no-such-program-here"], cwd=str(tmp_path))
    with pytest.raises(BadInput, match="no folder"):
        runner.run(["true"], cwd=str(tmp_path / "nowhere"))
    not_a_program = tmp_path / "data"
    not_a_program.write_bytes(b"\x00\x01 no program")
    not_a_program.chmod(0o755)
    with pytest.raises(BadInput, match="cannot be run"):
        runner.run([str(not_a_program)], cwd=str(tmp_path))
    for limit in (0.0, -1.0, float("nan")):
        with pytest.raises(BadInput, match="time limit"):
            runner.run(["true"], cwd=str(tmp_path), timeout=limit)
    assert runner.run(["true"], cwd=str(tmp_path), timeout=float("inf")).ok


def test_a_signal_is_128_and_more() -> None:
    assert python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)").exit_code == 143


LOOPBACK = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname(), 5)
print(sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line))
"""


@pytest.fixture
def secluded() -> None:
    """Skips, loudly, where this system gives no network namespace to anybody."""
    if runner.run(["true"], cwd="/", network=False).network is not NetworkUse.NONE:
        pytest.skip("this system lets nobody take a network away")


@pytest.mark.usefixtures("secluded")
def test_without_network_no_server_of_this_machine_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"import socket; socket.create_connection({server.getsockname()!r}, 5)"
        assert python(code).ok
        without = python(code, network=False)
    assert not without.ok and b"refused" in without.stderr
    assert without.network is NetworkUse.NONE and without.to_json()["network"] == "none"


@pytest.mark.usefixtures("secluded")
def test_without_network_there_is_no_route_to_anywhere() -> None:
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    assert b"unreachable" in python(code, network=False).stderr


@pytest.mark.usefixtures("secluded")
def test_without_network_its_own_loopback_works() -> None:
    result = python(LOOPBACK, network=False)
    assert result.ok, result.stderr


@pytest.mark.usefixtures("secluded")
def test_without_network_the_other_limits_hold() -> None:
    result = python("bytes(2_000_000_000)", network=False, max_memory=500_000_000)
    assert b"MemoryError" in result.stderr and result.network is NetworkUse.NONE
    with pytest.raises(NoSuchObject, match="no such program"):
        runner.run(["no-such-program"], cwd="/", network=False)


@pytest.mark.usefixtures("secluded")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a way back to close")
def test_root_finds_no_way_back_into_the_network() -> None:
    code = f"""
import ctypes, os
file = os.open("/proc/{os.getpid()}/ns/net", os.O_RDONLY)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.setns(file, 0), os.strerror(ctypes.get_errno()))
"""
    result = python(code, network=False)
    assert b"-1 Operation not permitted" in result.stdout or b"Permission denied" in result.stderr


@pytest.mark.usefixtures("secluded")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_network_also_as_a_user_without_privileges() -> None:
    code = """
import ctypes, os
from casstore.machine import runner
runner.run(["true"], cwd="/", network=False)
os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # what an exec as this user would have set: /proc/self is its own
print(runner.run(["sh", "-c", "cat /proc/self/uid_map; id -u; cat /proc/net/dev"], cwd="/", network=False))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "65534      65534          1" in shown and r"\n65534\n" in shown and "eth" not in shown
    assert "NetworkUse.NONE" in shown


def test_where_the_network_cannot_be_taken_away_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: bool) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(seclusion, "enter", refuse)
    result = python("print('ran')", network=False)
    assert (result.stdout, result.network) == (b"ran\n", NetworkUse.UNENFORCED)
    monkeypatch.setattr(seclusion, "supported", lambda: False)
    assert python("", network=False).network is NetworkUse.UNENFORCED
    assert python("").network is NetworkUse.ALLOWED


@pytest.fixture
def by_itself() -> None:
    """Skips, loudly, where this system gives no process namespace to anybody."""
    if not runner.run(["true"], cwd="/", alone=True).alone:
        pytest.skip("this system lets nobody have processes of their own")


@pytest.mark.usefixtures("by_itself")
def test_alone_it_ends_as_it_would() -> None:
    result = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", alone=True)
    assert (result.stdout, result.stderr, result.exit_code, result.alone) == (b"out\n", b"err\n", 3, True)
    assert result.to_json()["alone"] is True and result.cpu_seconds > 0
    assert python("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", alone=True).exit_code == 143
    assert python("import time; time.sleep(60)", alone=True, timeout=0.5).timed_out
    with pytest.raises(NoSuchObject, match="no such program"):
        runner.run(["no-such-program"], cwd="/", alone=True)
    assert b"MemoryError" in python("bytes(2_000_000_000)", alone=True, max_memory=500_000_000).stderr


@pytest.mark.usefixtures("by_itself")
def test_alone_nothing_outlives_it_in_whatever_session(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    child = f"import os, time; os.setsid(); time.sleep(1); open({str(mark)!r}, 'w')"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); print('done')"
    assert python(code, alone=True).stdout == b"done\n"
    time.sleep(2)
    assert not mark.exists()


@pytest.mark.usefixtures("by_itself")
def test_a_guest_reads_no_secret_of_ours(tmp_path: Path) -> None:
    """Neither the environment that we were started with, nor our memory, nor that of the copies between us and it."""
    guest = (
        "import os\n"
        "found = []\n"
        "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    if int(pid) == os.getpid():\n        continue\n"
        "    for name in ('environ', 'mem', 'root', 'cwd'):\n"
        "        path = f'/proc/{pid}/{name}'\n"
        "        try:\n"
        "            found.append(open(path, 'rb').read(1) if name in ('environ', 'mem') else os.listdir(path))\n"
        "        except OSError as exc:\n            continue\n"
        "print(found, len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
    )
    code = (
        "from casstore.machine import runner, seclusion\nimport sys\nseclusion.guard_memory()\n"
        f"print(runner.run([sys.executable, '-c', {guest!r}], cwd='/', network=False, alone=True).stdout.decode())"
    )
    env = {**os.environ, "CASSTORE_PASSWORD": "hunter2"}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert shown.strip() == "[] 2"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("by_itself")
def test_alone_also_as_a_user_without_privileges() -> None:
    code = """
import ctypes, os
from casstore.machine import runner, seclusion
runner.run(["true"], cwd="/", network=False)
os.setgid(65534), os.setuid(65534)
seclusion.guard_memory()
print(runner.run(["sh", "-c", "id -u; ls /proc; cat /proc/1/environ"], cwd="/", network=False, alone=True))
"""
    env = {**os.environ, "CASSTORE_PASSWORD": "hunter2"}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert "65534" in shown and "hunter2" not in shown and "alone=True" in shown and "NetworkUse.NONE" in shown


def test_workers_are_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from casstore.machine.workers import without_secrets

    for name in ("CASSTORE_KEY", "CASSTORE_LEDGER_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    assert "hunter2" not in without_secrets().values() and "PATH" in without_secrets()
