"""Ending processes with all that descends from them, whatever they did to get away, and nobody else."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbray.engine import process_tree

pytestmark = pytest.mark.local


def start(program: str) -> subprocess.Popen[bytes]:
    """A leader of its own session."""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)


def has_ended(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.005)
    return False


def finish(process: subprocess.Popen[bytes]) -> int:
    process.communicate()
    return process.returncode


def test_a_group_ends_with_its_leader() -> None:
    program = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
    process = start(program)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process_tree.end_group(process.pid)
    assert finish(process) == -signal.SIGKILL
    assert has_ended(child)


def test_a_leader_that_has_not_made_its_session_yet_ends_too() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process_tree.end_group(process.pid)
    assert process.wait(5) == -signal.SIGKILL


def test_what_has_ended_already_is_no_error() -> None:
    process = start("")
    finish(process)
    process_tree.end_group(process.pid)
    process_tree.end_group(process.pid, reaped=True)


SUBREAPER = """
import os, sys, time
sys.path.insert(0, {root!r})
from nbray.engine import process_tree
process_tree.become_subreaper()
"""
"""Runs apart from the test, which must not adopt other tests' orphans."""


def run(program: str) -> list[str]:
    """The words that a program prints which plays the zygote."""
    text = SUBREAPER.format(root=str(Path(__file__).parents[2])) + program
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


ESCAPING_WORKER = """
import os, signal, sys, time
write = int(sys.argv[1])
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
        os.write(write, b"%d " % os.getpid())
        time.sleep(60)
time.sleep(60)
"""
"""Has children and grandchildren in sessions of their own."""


def test_strays_in_sessions_of_their_own_end_with_their_worker() -> None:
    words = run(
        f"""
import subprocess
read, write = os.pipe()
command = [sys.executable, "-c", {ESCAPING_WORKER!r}, str(write)]
worker = subprocess.Popen(command, pass_fds=[write], start_new_session=True)
pids = b""
while len(pids.split()) < 6:
    pids += os.read(read, 100)
process_tree.end_group(worker.pid)
worker.wait()
process_tree.end_strays((), ())
print(pids.decode())
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("childless")
"""
    )
    assert words[-1] == "childless"
    assert len(words) == 7
    assert all(has_ended(int(pid)) for pid in words[:-1])


def test_strays_of_workers_that_live_are_left_alone() -> None:
    words = run(
        """
def stray(owner):
    pid = os.fork()
    if pid == 0:
        environment = {**os.environ, process_tree.WORKER_MARK: str(owner)}
        os.execve(sys.executable, [sys.executable, "-c", "import time; print('', flush=True); time.sleep(60)"], environment)
    return pid

known, kept, ended = stray(1), stray(4711), stray(4712)
while any(b"NBRAY_WORKER" not in open(f"/proc/{pid}/environ", "rb").read() for pid in (known, kept, ended)):
    time.sleep(0.001)
process_tree.end_strays({known}, {4711})
print(*[os.waitpid(pid, os.WNOHANG)[0] if pid != ended else "gone" for pid in (known, kept, ended)])
process_tree.end_strays((), ())
"""
    )
    assert words == ["0", "0", "gone"]


def test_a_daemon_that_has_shed_name_and_environment_is_found_when_nobody_has_adopted_it() -> None:
    """The zygote is gone, and so is the worker: whoever looks for what it has left has its pid alone."""
    program = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from nbray.engine import process_tree
process_tree.mark_worker()
if os.fork() == 0:
    os.setsid()
    daemon = os.fork()
    if daemon == 0:
        os.close(1)
        os.execve("/bin/sleep", ["sleep", "60"], {{}})
    print(os.getppid(), daemon, flush=True)
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True, timeout=20)
    worker, daemon = map(int, done.stdout.split())
    assert not has_ended_now(daemon)
    process_tree.end_descendants({2**22 + 1})
    assert not has_ended_now(daemon)
    process_tree.end_descendants({worker})
    assert has_ended(daemon)


def has_ended_now(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
@pytest.mark.parametrize("name", [b"\xff\xfe", process_tree.NAME_MARK.encode() + b"x", process_tree.NAME_MARK.encode()])
def test_whatever_others_call_their_processes_they_are_nobodys(name: bytes) -> None:
    stranger = start(f"open('/proc/self/comm', 'wb').write({name!r}); print(flush=True); input()")
    assert stranger.stdout
    stranger.stdout.readline()
    assert process_tree._owner(stranger.pid) == 0
    stranger.kill()
    finish(stranger)
