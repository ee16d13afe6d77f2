"""Measurements that need a real kernel: what a cell puts on the wire, and how long an extension takes to load."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

TIMEOUT = 60_000
AFTER_IDLE = 2_000
"""Milliseconds of silence after which nothing more is expected of a cell that has ended."""


@contextlib.contextmanager
def kernel() -> Iterator[BlockingKernelClient]:
    """A fresh ipykernel and a client of it."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)


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
