"""Measurements that need a real kernel: what a cell puts on the wire, and how long an extension takes to load."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT = 60_000
AFTER_IDLE = 2_000
"""Milliseconds of silence after which nothing more is expected of a cell that has ended."""


STOPPED = ("KeyboardInterrupt", "CancelledError")
"""How a cell ends by Stop; the latter is what IPython makes of it where the cell awaits."""


class Ran(NamedTuple):
    """A cell that has ended."""

    seconds: float
    """From its request to the message that the kernel is idle."""
    text: str
    """What it printed and showed, and its result."""
    error: str
    """The name of the exception that ended it."""


class Notebook:
    """A kernel whose cells are timed; nothing here sleeps or asks again and again."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client

    def run(self, code: str) -> Ran:
        """Run a cell that must succeed."""
        start = time.perf_counter()
        ran = self._finish(self._client.execute(code, stop_on_error=False), start)
        if ran.error:
            raise RuntimeError(f"{code!r} ended by {ran.error}: {ran.text}")
        return ran

    def complete(self, code: str) -> tuple[float, list[str]]:
        """Press Tab; how long the answer took, and what is offered."""
        start = time.perf_counter()
        reply = self._client.complete(code, reply=True, timeout=TIMEOUT / 1000)
        return time.perf_counter() - start, list(reply["content"]["matches"])

    def stop(self, code: str, begun: str, pause: float) -> float:
        """Run a cell, press Stop a while after it has printed `begun`; the seconds from then on until the kernel is idle."""
        request = self._client.execute(code, stop_on_error=False)
        while begun not in _text(message := self._message(request)):
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                raise RuntimeError(f"{code!r} ended before it printed {begun!r}")
        time.sleep(pause)
        start = time.perf_counter()
        self._manager.interrupt_kernel()
        ran = self._finish(request, start)
        if ran.error not in STOPPED:
            raise RuntimeError(f"{code!r} was stopped and ended by {ran.error or 'itself'}: {ran.text}")
        return ran.seconds

    def kill_and_restart(self) -> None:
        """The kernel's process is killed, and another one started in its place."""
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=60)

    def _finish(self, request: str, start: float) -> Ran:
        text, error = "", ""
        while True:
            message = self._message(request)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return Ran(time.perf_counter() - start, text, error)
            if message["msg_type"] == "error":
                error = message["content"]["ename"]
            text += _text(message)

    def _message(self, request: str) -> dict[str, Any]:
        """The next message of this cell."""
        while True:
            try:
                message: dict[str, Any] = self._client.get_iopub_msg(timeout=TIMEOUT / 1000)
            except queue.Empty:
                raise TimeoutError(f"the cell has said nothing for {TIMEOUT / 1000:.0f} s") from None
            if message["parent_header"].get("msg_id") == request:
                return message


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if message["msg_type"] == "stream":
        return str(content["text"])
    if message["msg_type"] == "error":
        return "\n".join(content["traceback"])
    return str(content.get("data", {}).get("text/plain", ""))


@contextlib.contextmanager
def _running() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)


@contextlib.contextmanager
def kernel() -> Iterator[BlockingKernelClient]:
    """A fresh ipykernel and a client of it."""
    with _running() as (_, client):
        yield client


@contextlib.contextmanager
def notebook() -> Iterator[Notebook]:
    """A fresh ipykernel whose cells are timed."""
    with _running() as (manager, client):
        yield Notebook(manager, client)


def _run(client: BlockingKernelClient, code: str) -> tuple[int, str]:
    """Run a cell to its end; the bytes of all its iopub messages, and all text that it printed."""
    request = client.execute(code)
    socket: Any = client.iopub_channel.socket
    wire, text, idle = 0, "", False
    while socket.poll(AFTER_IDLE if idle else TIMEOUT):
        frames = socket.recv_multipart()
        _, parts = client.session.feed_identities(frames)
        message = client.session.deserialize(parts)
        if message["parent_header"].get("msg_id") != request:
            continue
        wire += sum(len(frame) for frame in frames)
        content = message["content"]
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if message["msg_type"] == "stream":
            text += content["text"]
        text += content.get("data", {}).get("text/plain", "") if message["msg_type"].endswith("display_data") else ""
        idle = idle or content.get("execution_state") == "idle"
    if not idle:
        raise TimeoutError(f"the cell printed nothing for {TIMEOUT / 1000:.0f} s: {code}")
    return wire, text


def wire_bytes(first: str, cell: str) -> tuple[int, str]:
    """Bytes on iopub for `cell`, after `first` has run, and the text in them."""
    with kernel() as client:
        _run(client, first)
        return _run(client, cell)


def load_ext_seconds() -> float:
    """How long `%load_ext nbray` takes in a fresh kernel."""
    code = "import time; t = time.perf_counter(); get_ipython().run_line_magic('load_ext', 'nbray'); "
    with kernel() as client:
        return float(_run(client, code + "print(time.perf_counter() - t)")[1])
