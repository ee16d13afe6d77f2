"""The process that a storm takes for the user's notebook: a stand-in, or a real kernel in which a cell runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path

import msgspec

from tests.storm.family import is_alive
from tests.storm.notebook import Options
from tests.storm.places import Places

KERNEL_SECONDS = 60.0


class Victim(ABC):
    """One notebook; the pipe for its orders is made before it starts and taken away when it is gone."""

    def __init__(self, places: Places, options: Options) -> None:
        self.number = options.notebook
        self._path = Path(options.orders)
        os.mkfifo(self._path, 0o600)
        self._orders = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # for reading too: then nobody waits

    @property
    @abstractmethod
    def pid(self) -> int:
        """The process that holds the driver."""

    @abstractmethod
    def ended(self) -> int | None:
        """Its exit status once it has ended (negative: by which signal), None before."""

    @abstractmethod
    def last_words(self) -> str:
        """What it said last, for the report."""

    def order(self, text: str) -> None:
        """Tell it to do something."""
        os.write(self._orders, f"{text}\n".encode())

    def kill(self) -> None:
        """SIGKILL it, and nothing else."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """It has ended: nothing of it stays here."""
        os.close(self._orders)
        self._path.unlink()


class StandIn(Victim):
    """A Python process that does what a cell would."""

    def __init__(self, places: Places, options: Options) -> None:
        super().__init__(places, options)
        self._errors = places.root / f"errors-{options.notebook}"
        command = [sys.executable, "-m", "tests.storm.notebook", msgspec.json.encode(options).decode()]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=places.environment(),
                start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """See `Victim.pid`."""
        return self._process.pid

    def ended(self) -> int | None:
        """See `Victim.ended`."""
        return self._process.poll()

    def last_words(self) -> str:
        """See `Victim.last_words`."""
        return self._errors.read_text(errors="replace")[-4000:]


class RealKernel(Victim):
    """An ipykernel in which one cell is the whole notebook; that cell's end is the notebook's."""

    def __init__(self, places: Places, options: Options) -> None:
        super().__init__(places, options)
        from jupyter_client.manager import start_new_kernel

        self._manager, self._client = start_new_kernel(
            startup_timeout=KERNEL_SECONDS, kernel_name="python3", env=places.environment(), cwd=str(Path(__file__).parents[2]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._pid = int(self._manager.provisioner.pid)  # type: ignore[union-attr]  # that of a local process has one
        code = f"from tests.storm import notebook\nnotebook.main({msgspec.json.encode(options).decode()!r})"
        self._cell = self._client.execute(code, store_history=False)
        self._said = ""
        self._status: int | None = None

    @property
    def pid(self) -> int:
        """See `Victim.pid`."""
        return self._pid

    def ended(self) -> int | None:
        """See `Victim.ended`; looks at the cell's answer without waiting for it."""
        while self._status is None and self._client.shell_channel.msg_ready():
            reply = self._client.get_shell_msg(timeout=1)
            if reply["parent_header"].get("msg_id") == self._cell:
                content = reply["content"]
                self._said = "\n".join(content.get("traceback", ()))
                self._status = 0 if content["status"] == "ok" else 1
        if self._status is None and not is_alive(self._pid):
            self._status = -signal.SIGKILL
        return self._status

    def last_words(self) -> str:
        """See `Victim.last_words`."""
        return self._said[-4000:]

    def close(self) -> None:
        """See `Victim.close`."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        super().close()
