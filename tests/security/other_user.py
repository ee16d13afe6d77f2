"""What another user of the machine gets at: becomes that user, tries everything on what it is told of, and prints what worked.

    python -m tests.security.other_user UID < {"places": [...], "pids": [...], "secret": "..."}

It is told every path and every process, so that no guess limits what it finds.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


def main() -> None:
    """Become nobody of importance and report."""
    told = json.load(sys.stdin)
    uid = int(sys.argv[1])
    os.chdir("/")
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    assert os.geteuid() == uid
    print(json.dumps(Attack(told["secret"].encode()).run([Path(name) for name in told["places"]], told["pids"])))


class Attack:
    """Counts what works, by kind; each entry is a path."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.tried = 0
        self.found: dict[str, list[str]] = {
            kind: [] for kind in ("listed", "read", "written", "made", "removed", "connected", "process", "secret")
        }

    def run(self, places: list[Path], pids: list[int]) -> dict[str, Any]:
        """Everything on each path, below each directory, and on each process."""
        paths = list(dict.fromkeys(path for place in places for path in (place, *_below(place))))
        for path in paths:
            self._path(path)
        for path in reversed(paths):  # what is inside first: a folder that was renamed hides it
            self._change(path)
        for pid in pids:
            self._process(Path(f"/proc/{pid}"))
        for name in _abstract_sockets():
            self._connect(f"\0{name}", f"@{name}")
        self._shared_memory()
        return {"tried": self.tried, **self.found}

    # ---------------------------------------------------------------- paths

    def _path(self, path: Path) -> None:
        self.tried += 1
        self._connect(str(path), str(path))
        with contextlib.suppress(OSError):
            list(path.iterdir())
            self.found["listed"].append(str(path))
        with contextlib.suppress(OSError):
            self._look(path, path.read_bytes())
            self.found["read"].append(str(path))

    def _change(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            self.found["written"].append(str(path))
        for made in (path / "made", path.with_name("made")):
            if made.parent in (Path("/"), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):
                continue
            with contextlib.suppress(OSError):
                made.symlink_to("/etc/hostname")
                self.found["made"].append(str(made))
                made.unlink()
        with contextlib.suppress(OSError):
            path.chmod(0o777)
            self.found["written"].append(f"mode of {path}")
        with contextlib.suppress(OSError):
            path.rename(path.with_name("renamed"))
            self.found["removed"].append(str(path))

    def _connect(self, address: str, name: str) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            connection.connect(address)
            connection.sendall(b"\0" * 64)
            if connection.recv(1):
                self.found["connected"].append(name)

    # ---------------------------------------------------------------- processes and memory

    def _process(self, process: Path) -> None:
        self.tried += 1
        with contextlib.suppress(OSError):
            self._look(process / "cmdline", (process / "cmdline").read_bytes())  # everybody may read that
        for name in ("environ", "mem", "maps", "smaps", "io", "auxv", "stack", "syscall", "pagemap", "cwd", "root", "exe"):
            with contextlib.suppress(OSError):
                self._open(process / name)
                self.found["process"].append(str(process / name))
        for name in ("fd", "fdinfo", "map_files"):
            with contextlib.suppress(OSError):
                list((process / name).iterdir())
                self.found["process"].append(str(process / name))
        for number in range(64):
            with contextlib.suppress(OSError):
                self._open(process / "fd" / str(number))
                self.found["process"].append(str(process / "fd" / str(number)))
        for what, attempt in _ON_PROCESSES.items():
            with contextlib.suppress(OSError):
                attempt(int(process.name))
                self.found["process"].append(f"{what} {process.name}")

    def _open(self, path: Path) -> None:
        if path.name in ("cwd", "root", "exe"):
            path.readlink()
            return
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if path.name not in ("mem", "pagemap"):
                self._look(path, os.read(descriptor, 1 << 20))
        finally:
            os.close(descriptor)

    def _shared_memory(self) -> None:
        for path in Path("/dev/shm").iterdir():
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.stat().st_mode):
                    self._look(path, path.read_bytes())

    def _look(self, path: Path, data: bytes) -> None:
        if self._secret in data:
            self.found["secret"].append(str(path))


def _take_descriptor(pid: int) -> None:
    process = os.pidfd_open(pid)
    try:
        for number in range(3, 64):
            with contextlib.suppress(OSError):
                os.close(_call(_PIDFD_GETFD, process, number, 0))
                return
    finally:
        os.close(process)
    raise PermissionError(errno.EPERM, "none")


def _read_memory(pid: int) -> None:
    here = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
    there = (ctypes.c_size_t * 2)(0x400000, 8)
    _call(_PROCESS_VM_READV, pid, ctypes.addressof(local), 1, ctypes.addressof(there), 1, 0)


def _seize(pid: int) -> None:
    _call(_PTRACE, _PTRACE_SEIZE, pid, 0, 0)


def _call(number: int, *arguments: int) -> int:
    """A system call; raises what it says."""
    result = int(_LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


_LIBC = ctypes.CDLL(None, use_errno=True)
_X86 = os.uname().machine == "x86_64"
_PTRACE, _PROCESS_VM_READV, _PIDFD_GETFD = (101, 310, 438) if _X86 else (117, 270, 438)
_PTRACE_SEIZE = 0x4206
_ON_PROCESSES: dict[str, Callable[[int], None]] = {
    "signal": lambda pid: os.kill(pid, 0), "descriptor of": _take_descriptor, "memory of": _read_memory, "tracing": _seize,
    "priority of": lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
}  # fmt: skip


def _below(place: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            yield Path(folder, name)


def _abstract_sockets() -> list[str]:
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    names = [line.split(maxsplit=7)[7] for line in lines if len(line.split(maxsplit=7)) == 8]
    return [name[1:] for name in names if name.startswith("@") and "nbray" in name]


if __name__ == "__main__":
    main()
