"""Owns how something reaches the page: raw messages on the kernel's iopub channel, or the terminal where there is none.

A message goes to the cell whose request it names as its parent. The parent is captured when the cell runs, so output
that comes later, from any thread, while other cells run, still lands in its own cell.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

Parent = Mapping[str, Any] | None


class Display(ABC):
    """Where messages for cells go. Any thread may publish."""

    live: bool
    """Can what is shown be updated later?"""

    @abstractmethod
    def publish(self, kind: str, content: dict[str, Any], parent: Parent) -> None:
        """Send one message: "stream", "display_data", "update_display_data", "clear_output" or "error"."""


class KernelDisplay(Display):
    """Publishes under ipykernel, from 6.29 on: its session and its iopub socket hand over to the iopub thread."""

    live = True

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def publish(self, kind: str, content: dict[str, Any], parent: Parent) -> None:
        """See `Display.publish`."""
        topic = f"stream.{content['name']}" if kind == "stream" else kind
        kernel = self._kernel
        kernel.session.send(kernel.iopub_socket, kind, content, parent=parent, ident=topic.encode())


class TerminalDisplay(Display):
    """Prints what can be printed: streams, the text of displays, tracebacks."""

    live = False

    def publish(self, kind: str, content: dict[str, Any], parent: Parent) -> None:
        """See `Display.publish`."""
        if kind == "stream":
            stream = sys.stderr if content["name"] == "stderr" else sys.stdout
            stream.write(content["text"])
            stream.flush()
        elif kind == "display_data" and content["data"].get("text/plain"):
            sys.stdout.write(f"{content['data']['text/plain']}\n")
            sys.stdout.flush()
        elif kind == "error":
            sys.stderr.write("\n".join(content["traceback"]) + "\n")
            sys.stderr.flush()


def header_of(parent: Any) -> Parent:
    """What later messages need of a request: its header, without the cell's source."""
    return {"header": dict(parent["header"])} if parent and parent.get("header") else None
