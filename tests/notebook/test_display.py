"""Messages for a cell: on iopub with the cell's parent, or printed where there is no kernel."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.notebook.display import KernelDisplay, TerminalDisplay, header_of


class Session:
    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def send(self, socket: Any, kind: str, content: Any, parent: Any, ident: bytes) -> None:
        self.sent.append((socket, kind, content, parent, ident))


class FakeKernel:
    def __init__(self) -> None:
        self.session = Session()
        self.iopub_socket = "iopub"


def test_a_kernel_sends_with_the_captured_parent() -> None:
    kernel = FakeKernel()
    display = KernelDisplay(kernel)
    parent = header_of({"header": {"msg_id": "m1"}, "content": {"code": "x" * 1000}})
    display.publish("stream", {"name": "stderr", "text": "a"}, parent)
    display.publish("display_data", {"data": {}}, parent)
    assert parent == {"header": {"msg_id": "m1"}}
    assert kernel.session.sent == [
        ("iopub", "stream", {"name": "stderr", "text": "a"}, parent, b"stream.stderr"),
        ("iopub", "display_data", {"data": {}}, parent, b"display_data"),
    ]


def test_no_request_is_no_parent() -> None:
    assert header_of(None) is None
    assert header_of({}) is None


def test_a_terminal_prints_what_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    display = TerminalDisplay()
    display.publish("stream", {"name": "stdout", "text": "out\n"}, None)
    display.publish("stream", {"name": "stderr", "text": "err\n"}, None)
    display.publish("display_data", {"data": {"text/plain": "table", "text/html": "<table>"}}, None)
    display.publish("display_data", {"data": {"image/png": "abc"}}, None)
    display.publish("update_display_data", {"data": {"text/plain": "again"}}, None)
    display.publish("clear_output", {"wait": False}, None)
    display.publish("error", {"traceback": ["line 1", "line 2"]}, None)
    captured = capsys.readouterr()
    assert captured.out == "out\ntable\n"
    assert captured.err == "err\nline 1\nline 2\n"
