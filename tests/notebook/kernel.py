"""A real kernel for tests: runs cells over jupyter_client and files what comes back under its cell."""

from __future__ import annotations

import itertools
import os
import queue
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

ROOT = Path(__file__).resolve().parents[2]
ensure_event_loop()  # jupyter_client keeps one for good: made here, no test is blamed for it
_ids = (f"test-{number}" for number in itertools.count(1))
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Output:
    """One iopub message of a cell: "stream", "display_data", "update_display_data", "execute_result", "error" ..."""

    kind: str
    content: dict[str, Any]
    arrived: float
    """`time.monotonic()` when it was read."""
    parent: str = ""
    """The request that it answers."""

    @property
    def text(self) -> str:
        """What it says as plain text, without colours."""
        if self.kind == "stream":
            return ANSI.sub("", str(self.content["text"]))
        if self.kind == "error":
            return ANSI.sub("", "\n".join(self.content["traceback"]))
        return str(self.content.get("data", {}).get("text/plain", ""))


@dataclass
class Cell:
    """One execute_request and everything that came back for it so far; grows while the kernel is pumped."""

    msg_id: str
    code: str
    outputs: list[Output] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    """What it asked the person at the notebook."""
    reply: dict[str, Any] | None = None
    idle: bool = False

    @property
    def done(self) -> bool:
        """Has the kernel replied and gone idle for this cell?"""
        return self.reply is not None and self.idle

    @property
    def status(self) -> str:
        """ "ok", "error", "aborted", or "running"."""
        return str(self.reply["status"]) if self.reply else "running"

    @property
    def number(self) -> int:
        """The execution count: the label of the cell."""
        assert self.reply is not None
        return int(self.reply["execution_count"])

    def of(self, *kinds: str) -> list[Output]:
        """Its outputs of those kinds."""
        return [output for output in self.outputs if output.kind in kinds]

    def stream(self, name: str) -> str:
        """All it printed to "stdout" or "stderr"."""
        return "".join(output.text for output in self.of("stream") if output.content["name"] == name)

    @property
    def stdout(self) -> str:
        """All it printed."""
        return self.stream("stdout")

    @property
    def stderr(self) -> str:
        """All it wrote to stderr."""
        return self.stream("stderr")

    def data(self, mime: str) -> list[Any]:
        """Everything it displayed (also updates and the last expression) that has this MIME type."""
        shown = self.of("display_data", "update_display_data", "execute_result")
        return [output.content["data"][mime] for output in shown if mime in output.content["data"]]

    @property
    def shown(self) -> list[str]:
        """The texts of what it displayed, but for cards, which come only where work takes a while."""
        return [text for text in self.data("text/plain") if not text.startswith("nbray: ")]

    @property
    def result(self) -> str:
        """The text of the last expression, or ""."""
        return "".join(output.text for output in self.of("execute_result"))

    @property
    def error(self) -> str:
        """The traceback as text without colours, or ""."""
        return "".join(output.text for output in self.of("error"))

    @property
    def error_name(self) -> str:
        """The type of the exception that ended the cell, or ""."""
        return str(self.reply.get("ename", "")) if self.reply else ""

    def everything(self) -> str:
        """All its text, for searching and for messages of failed tests."""
        return "\n".join(f"<{output.kind}> {output.text}" for output in self.outputs)


class Kernel:
    """A running ipykernel and its client, used by one thread; outputs of no cell of ours go to `strays`.

    News of a display go to the cell in which it stands, as on a page, whatever request they answer.
    """

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.cells: dict[str, Cell] = {}
        self.strays: list[Output] = []
        self._displays: dict[str, Cell] = {}

    @property
    def pid(self) -> int:
        """The kernel's process id."""
        return int(self.manager.provisioner.pid)  # type: ignore[union-attr]

    def submit(self, code: str, **options: Any) -> Cell:
        """Send a cell and return at once."""
        msg_id = self.client.execute(code, allow_stdin=False, **options)
        cell = self.cells[msg_id] = Cell(msg_id, code)
        return cell

    def run(self, code: str, timeout: float = 30.0, **options: Any) -> Cell:
        """Run a cell and wait until it has ended; the caller looks at `status`."""
        return self.wait(self.submit(code, **options), timeout)

    def run_ok(self, code: str, timeout: float = 30.0) -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code, timeout)
        assert cell.status == "ok", cell.everything()
        return cell

    def talk(self, code: str, *answers: str | Callable[[], object], timeout: float = 30.0) -> Cell:
        """Run a cell that asks for input, once for each of the answers; one that is called types nothing: it may press Stop."""
        msg_id = self.client.execute(code, allow_stdin=True)
        cell = self.cells[msg_id] = Cell(msg_id, code)
        left, deadline = list(answers), time.monotonic() + timeout
        while not cell.done:
            assert time.monotonic() < deadline, cell.everything()
            self.pump(0.02)
            try:
                asked = self.client.get_stdin_msg(timeout=0)
            except queue.Empty:
                continue
            cell.prompts.append(asked["content"]["prompt"])
            assert left, f"asked {cell.prompts[-1]!r} beyond all answers; {cell.everything()}"
            answer = left.pop(0)
            if isinstance(answer, str):
                self.client.input(answer)
            else:
                answer()
        assert not left, f"never asked for {left}; {cell.everything()}"
        return cell

    def wait(self, cell: Cell, timeout: float = 30.0) -> Cell:
        """Wait until a cell has ended."""
        self.until(lambda: cell.done, timeout, cell)
        return cell

    def until(self, holds: Callable[[], bool], timeout: float = 30.0, cell: Cell | None = None) -> None:
        """Read messages until a condition holds, for example that some text has arrived in a cell."""
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                seen = (cell or Cell("", "", [o for c in self.cells.values() for o in c.outputs])).everything()
                raise AssertionError(f"not within {timeout} s; what arrived:\n{seen}")
            self._read_iopub(0.05)
            self._read_replies()

    def pump(self, seconds: float) -> None:
        """Read what arrives during the next seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read_iopub(max(0.0, min(0.05, end - time.monotonic())))
            self._read_replies()

    def interrupt(self) -> None:
        """Press Stop: SIGINT to the kernel's process group, as Jupyter does."""
        self.manager.interrupt_kernel()

    def kill(self) -> None:
        """Kill the kernel's process, as a crash would."""
        os.kill(self.pid, signal.SIGKILL)

    def restart(self) -> None:
        """Restart the kernel and wait until it answers."""
        self.manager.restart_kernel(now=False)
        self.client.wait_for_ready(timeout=30)

    def close(self) -> None:
        """Shut the kernel down for good."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=not self.manager.is_alive())
        self.client.context.destroy(linger=0)

    def _read_iopub(self, timeout: float) -> None:
        try:
            message = self.client.get_iopub_msg(timeout=timeout)
        except queue.Empty:
            return
        kind, content = message["header"]["msg_type"], message["content"]
        parent = message["parent_header"].get("msg_id", "")
        cell = self.cells.get(parent)
        if kind == "status":
            if cell is not None and content["execution_state"] == "idle":
                cell.idle = True
        elif kind != "execute_input":
            cell = self._place(kind, content, cell)
            (self.strays if cell is None else cell.outputs).append(Output(kind, content, time.monotonic(), parent))

    def _place(self, kind: str, content: dict[str, Any], cell: Cell | None) -> Cell | None:
        """The cell in which an output is seen."""
        display_id = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            return self._displays.get(display_id, cell)
        if display_id and cell is not None:
            self._displays[display_id] = cell
        return cell

    def _read_replies(self) -> None:
        while self.client.shell_channel.msg_ready():
            message = self.client.get_shell_msg(timeout=1)
            cell = self.cells.get(message["parent_header"].get("msg_id", ""))
            if cell is not None and message["header"]["msg_type"] == "execute_reply":
                cell.reply = message["content"]


@contextmanager
def running_kernel(
    folder: Path, *setup: str, env: dict[str, str] | None = None, name: str = "python3", arguments: Sequence[str] = (),
    kernel_id: str = "",
) -> Iterator[Kernel]:  # fmt: skip
    """A kernel in `folder`, apart from the user's settings, that has run the `setup` cells; shut down at the end.

    Its `name` is that of a kernelspec: "nbray" is the one of this checkout; `arguments` are added to its command line. Kernels of
    one `kernel_id` find each other's clusters; without one each has its own, and it stays the same when it is restarted.
    """
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    connection_file = str(runtime / f"kernel-{kernel_id or next(_ids)}.json")
    manager = KernelManager(kernel_name=name, connection_file=connection_file, kernel_spec_manager=kernelspecs(folder))
    environment = kernel_environment(folder, runtime) | (env or {})
    manager.start_kernel(cwd=str(folder), env=environment, extra_arguments=list(arguments))
    kernel = Kernel(manager, manager.blocking_client())
    try:
        kernel.client.start_channels()
        kernel.client.wait_for_ready(timeout=30)
        for cell in setup:
            kernel.run_ok(cell)
        yield kernel
    finally:
        kernel.close()


def kernelspecs(folder: Path) -> KernelSpecManager:
    """Knows the kernels that are installed, and this checkout's own as the wheel would install it."""
    shutil.copytree(ROOT / "nbray" / "notebook" / "kernelspec", folder / "kernels" / "nbray", dirs_exist_ok=True)
    manager = KernelSpecManager()
    manager.kernel_dirs = [str(folder / "kernels"), *manager.kernel_dirs]
    return manager


def kernel_environment(folder: Path, runtime: Path) -> dict[str, str]:
    """The environment of a kernel that sees this checkout and none of the user's settings."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    apart = {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(runtime), "MPLCONFIGDIR": str(folder)}
    return {**os.environ, **apart, "PYTHONPATH": path, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
