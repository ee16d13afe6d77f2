"""What the kernel "Python 3 (nbray)" does beyond ipykernel's, and that nothing of that is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """nbray's own, with a cluster."""
    with running_kernel(tmp_path_factory.mktemp("nbray"), "%nbray start -n 2", name="nbray") as kernel:
        yield kernel


def info_of(kernel: Kernel) -> dict[str, Any]:
    """What the kernel says that it can do."""
    kernel.client.kernel_info()
    info: dict[str, Any] = kernel.client.get_shell_msg(timeout=10)["content"]
    return info


def test_debugger_and_subshells_are_kept(kernel: Kernel, bare_kernel: Kernel) -> None:
    ours, theirs = info_of(kernel), info_of(bare_kernel)
    assert "%%remote" in ours.pop("banner")
    assert theirs.pop("banner")
    assert ours == theirs


def test_the_debugger_answers(tmp_path: Path) -> None:
    arguments = {"clientID": "test", "adapterID": "", "pathFormat": "path", "locale": "en"}
    content = {"type": "request", "seq": 1, "command": "initialize", "arguments": arguments}
    with running_kernel(tmp_path, name="nbray") as kernel:  # of its own: the debugger's process stays as long as it does
        kernel.client.control_channel.send(kernel.client.session.msg("debug_request", content))
        assert kernel.client.get_control_msg(timeout=20)["content"]["success"] is True


def test_it_can_start_in_remote_mode(tmp_path: Path) -> None:
    with running_kernel(tmp_path, name="nbray", arguments=["--remote"]) as kernel:
        kernel.run_ok("import os\nx = os.getpid()\nprint(x)")
        assert kernel.run_ok("print(x)").stdout.strip() != str(kernel.pid)
        here = kernel.run_ok("%%local\nimport os\nprint(os.getpid())")
        assert here.stdout.strip() == str(kernel.pid)
        kernel.run_ok("%remote off")
        assert kernel.run("x").error_name == "NameError"


# ---------------------------------------------------------------- busy


def statuses(kernel: Kernel, seconds: float, until: str = "") -> list[str]:
    """What the kernel says of itself meanwhile."""
    said: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (not until or until not in said):
        if kernel.client.iopub_channel.msg_ready():
            message: dict[str, Any] = kernel.client.get_iopub_msg(timeout=1)
            if message["header"]["msg_type"] == "status":
                assert message["parent_header"]["msg_type"], "a server heeds only what has a parent"
                said.append(message["content"]["execution_state"])
        else:
            time.sleep(0.01)
    return said


def test_it_is_busy_until_work_in_the_background_has_ended(kernel: Kernel) -> None:
    code = "import nbray, time, pathlib\nref = nbray.apply_async(lambda: time.sleep(1.5))"
    kernel.run_ok(code)
    assert statuses(kernel, 10, "busy") == ["busy"]
    kernel.client.kernel_info()
    kernel.client.get_shell_msg(timeout=5)
    assert statuses(kernel, 0.4) == ["busy", "idle", "busy"], "it goes on being busy after each request"
    began = time.monotonic()
    assert statuses(kernel, 10, "idle")[-1] == "idle"
    assert time.monotonic() - began < 4
    kernel.run_ok("nbray.get(ref)")
    assert statuses(kernel, 1.5) == [], "nothing is said once nothing runs"


def test_idle_is_not_said_while_a_cell_runs(kernel: Kernel) -> None:
    cell = kernel.submit("ref = nbray.apply_async(lambda: time.sleep(0.3))\ntime.sleep(2.5)")
    said = []
    while not cell.idle:
        message = kernel.client.get_iopub_msg(timeout=10)
        if message["header"]["msg_type"] == "status":
            said.append((message["parent_header"]["msg_id"] == cell.msg_id, message["content"]["execution_state"]))
            cell.idle = said[-1] == (True, "idle")
    assert said == [(True, "busy"), (True, "idle")]
    kernel.wait(cell)


# ---------------------------------------------------------------- Stop in cells that await

AWAITS = {
    "sleep": "await asyncio.sleep(30)",
    "never": "await asyncio.Future()",
    "blocking": "async def block():\n    time.sleep(30)\nawait block()",
    "loop": "async def spin():\n    while True:\n        pass\nawait spin()",
    "gathered loop": "async def spin():\n    while True:\n        pass\nawait asyncio.gather(spin(), asyncio.sleep(30))",
    "remote": "await nbray.apply_async(lambda: __import__('time').sleep(30))",
    "child process": "await (await asyncio.create_subprocess_exec('sleep', '30')).wait()",
}


@pytest.mark.parametrize("kind", AWAITS)
def test_a_cell_that_awaits_stops_within_a_second(kernel: Kernel, kind: str) -> None:
    cell = kernel.submit(f"import asyncio, time, nbray\nprint('begun', flush=True)\n{AWAITS[kind]}")
    kernel.until(lambda: "begun" in cell.stdout, 10)
    kernel.pump(0.2)
    began = time.monotonic()
    kernel.interrupt()
    kernel.wait(cell, 10)
    assert time.monotonic() - began < 1
    assert cell.error_name in ("KeyboardInterrupt", "CancelledError")
    assert kernel.run_ok("1 + 1").result == "2"


def test_an_awaiting_cell_cleans_up_when_it_is_stopped(kernel: Kernel) -> None:
    code = "import asyncio\ntry:\n    print('begun', flush=True)\n    await asyncio.sleep(30)\nfinally:\n    cleaned = True"
    cell = kernel.submit(code)
    kernel.until(lambda: "begun" in cell.stdout, 10)
    kernel.interrupt()
    assert kernel.wait(cell, 5).status == "error"
    assert kernel.run_ok("cleaned").result == "True"
