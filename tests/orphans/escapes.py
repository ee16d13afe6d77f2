"""Processes that are hard to end, as tasks may leave them; each function starts one and returns its pid."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

STUBBORN = "trap \"\" TERM HUP INT; echo $$; exec /bin/sleep 600"
"""What a shell ignores, the program ignores that takes its place."""


def _started(program: str = STUBBORN, **how: object) -> int:
    child = subprocess.Popen(["/bin/sh", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **how)  # type: ignore[call-overload]
    return int(child.stdout.readline())


def plain() -> int:
    """Ignores what asks it to end."""
    return _started()


def in_a_session() -> int:
    """Has left the worker's session, and with it its process group."""
    return _started(start_new_session=True)


def without_a_mark() -> int:
    """The same with an environment in which nothing says whose it is."""
    return _started(start_new_session=True, env={})


def stopped() -> int:
    """Does not run at all."""
    return _started(STUBBORN.replace("exec", "kill -STOP $$;"), start_new_session=True)


def in_a_shell() -> int:
    """What a line of a shell leaves in the background."""
    command = f"nohup /bin/sh -c '{STUBBORN}' 2>/dev/null & exit 0"
    shell = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE)
    assert shell.stdout is not None
    pid = int(shell.stdout.readline())
    shell.wait()
    return pid


def forked() -> int:
    """A copy of the worker that never ends."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        time.sleep(600)
    return pid


def _daemon(become: Callable[[], None]) -> int:
    """A process whose parent has ended: it belongs to whoever adopts orphans."""
    read, write = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, b"%d" % os.getpid())
            os.close(write)
            become()
        os._exit(0)
    os.close(write)
    pid = int(os.read(read, 20))
    os.close(read)
    os.waitpid(middle, 0)
    return pid


def daemon() -> int:
    """A daemon that is still a copy of the worker."""
    return _daemon(lambda: time.sleep(600))


def foreign_daemon() -> int:
    """A daemon that is another program by now, and whose environment does not say whose it is."""

    def become() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.execve("/bin/sleep", ["sleep", "600"], {})

    return _daemon(become)


ALL: tuple[Callable[[], int], ...] = (
    plain, in_a_session, without_a_mark, stopped, in_a_shell, forked, daemon, foreign_daemon,
)  # fmt: skip
