"""A cell on a worker: its inputs, what it brings back and what it leaves behind; then the whole way over a real cluster."""

from __future__ import annotations

import gc
import time
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nbray
from nbray import session
from nbray.backends.backend import Backend, OutputEvent
from nbray.dual_errors import original
from nbray.errors import RemoteError, TaskCancelledError
from nbray.notebook.remote_cell import CellCode, CellOutcome, run_cell
from nbray.notebook.remote_shell import TRACEBACK_ATTRIBUTE
from nbray.notebook.values import ModuleName, RemoteValue
from tests.contract.conftest import map_the_store, until
from tests.fakes import fake_session, fresh_session
from tests.notebook.worker_side import Shown, plain, run, worker_process


@pytest.fixture
def worker() -> Iterator[None]:
    with worker_process(), fake_session():
        yield


in_this_process = pytest.mark.usefixtures("worker")


@in_this_process
def test_wanted_names_come_back_others_do_not() -> None:
    outcome, _ = run("a = 1\nb = [a]\nc = {'k': b}\n_d = 4", "a", "c", "missing", "_d")
    assert outcome == CellOutcome({"a": 1, "c": {"k": [1]}, "_d": 4}, {})


@in_this_process
def test_names_that_share_a_value_still_do() -> None:
    values = run("a = [1]\nb = a\nclass C: ...\nc = C()", "a", "b", "C", "c").outcome.values
    assert values["a"] is values["b"]
    assert type(values["c"]) is values["C"]


@in_this_process
def test_what_only_the_run_shows_comes_too_when_asked_for() -> None:
    outcome, _ = run("exec('hidden = 1')\nx = 2\n_private = 3", "x", only_wanted=False, x=1, y=5)
    assert outcome.values == {"x": 2, "hidden": 1}


@in_this_process
def test_functions_come_with_the_globals_that_they_use() -> None:
    values = run("k = 3\ndef g(x):\n    return x * k\ndef f(x):\n    return g(x) + 1", "f").outcome.values
    assert values["f"](2) == 7


@in_this_process
def test_a_given_namespace_is_the_one_of_the_functions_among_the_inputs() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    function = types.FunctionType((lambda: k).__code__, namespace, "f")  # type: ignore[name-defined]  # noqa: F821
    assert run("k = 5\nx = f()", "x", f=function, namespace=namespace).outcome.values == {"x": 5}


@in_this_process
def test_modules_go_by_name_both_ways() -> None:
    outcome, _ = run("x = j.dumps([1])\nimport os.path as p", "x", "p", "j", modules={"j": "json"})
    assert outcome.values == {"x": "[1]", "p": ModuleName("posixpath"), "j": ModuleName("json")}


@in_this_process
def test_what_cannot_be_shipped_is_left_out_with_the_reason() -> None:
    source = "import threading\nok = 1\nlock = threading.Lock()\ngen = (i for i in [])\nnested = {'a': [lock]}"
    outcome, _ = run(source, "lock", "ok", "gen", "nested")
    assert outcome.values == {"ok": 1}
    assert outcome.left_out["lock"].startswith("lock cannot be sent: it is a thread lock.")
    assert "generator" in outcome.left_out["gen"]
    assert "nested -> ['a'] -> [0]: a thread lock" in outcome.left_out["nested"]


@in_this_process
def test_a_reduction_that_raises_costs_only_its_name() -> None:
    source = "class Bad:\n    def __reduce__(self):\n        raise RuntimeError('no')\nbad = Bad()\nok = 1"
    outcome, _ = run(source, "bad", "ok")
    assert outcome.values == {"ok": 1}
    assert "no" in outcome.left_out["bad"]


@in_this_process
def test_large_values_come_as_handles() -> None:
    source = "small = np.zeros(1000)\nlarge = np.zeros(10_000)\ntext = 'x' * 1_100_000\nitems = list(range(400_000))"
    values = run(source, "small", "large", "text", "items", modules={"np": "numpy"}).outcome.values
    assert [type(value) for value in values.values()] == [np.ndarray, RemoteValue, RemoteValue, RemoteValue]
    assert values["large"].preview.facts == "10,000, float64"
    assert values["items"].fetch() == list(range(400_000))


@in_this_process
def test_a_failing_cell_brings_nothing() -> None:
    with pytest.raises(ZeroDivisionError):
        run("x = 1\n1 / 0", "x")


@in_this_process
def test_nested_tasks_run_inside_a_cell() -> None:
    source = "@nbray.remote\ndef square(x):\n    return x * x\nsquares = nbray.get([square.remote(x) for x in range(4)])"
    assert run(source, "squares", modules={"nbray": "nbray"}).outcome.values == {"squares": [0, 1, 4, 9]}


# -------------------------------------------------------------------- the whole way


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with fresh_session():
        nbray.init(num_workers=1, preload=["numpy", "nbray.notebook.remote_cell"])
        backend = session.current_backend()
        map_the_store(backend)
        yield backend


@pytest.fixture
def shown(backend: Backend) -> Iterator[Shown]:
    shown = Shown()

    def keep(event: OutputEvent) -> None:
        shown.add(event.task_id, event.stream, event.data)

    backend.on_output(keep)
    yield shown
    backend.on_output(None)


@nbray.remote
def cell(source: str, wanted: tuple[str, ...], inputs: dict[str, Any]) -> CellOutcome:
    return run_cell(CellCode(source, "/tmp/ipykernel_1/4.py", "[4]"), inputs, {}, wanted)


def remotely(source: str, *wanted: str, **inputs: Any) -> dict[str, Any]:
    outcome: CellOutcome = nbray.get(cell.remote(source, wanted, inputs))
    return outcome.values


@pytest.mark.local
def test_output_arrives_in_order_and_before_the_outcome(shown: Shown) -> None:
    assert remotely("print('a')\ndisplay(1)\nprint('b')\nx = 3\nx", "x") == {"x": 3}
    assert until(lambda: len(shown) == 4)
    assert shown.texts() == ["a\n", "1", "b\n", "3"]


@pytest.mark.local
def test_an_error_arrives_with_the_rendered_traceback(backend: Backend) -> None:
    source = "class Odd(Exception):\n    pass\n\ndef f():\n    raise Odd('here')\nf()"
    with pytest.raises(Exception, match="here") as caught:
        remotely(source)
    text = plain(getattr(caught.value, TRACEBACK_ATTRIBUTE))
    assert type(original(caught.value)).__name__ == "Odd"
    assert "Cell In[4], line 6\n" in text
    assert "----> 5     raise Odd('here')" in text
    assert "remote_cell" not in text


@pytest.mark.local
@pytest.mark.parametrize("wait", ["time.sleep(60)", "await asyncio.sleep(60)", "while True: pass", "await forever"])
def test_a_cancelled_cell_is_interrupted_and_its_worker_goes_on(shown: Shown, wait: str) -> None:
    before = remotely("import os\npid = os.getpid()", "pid")
    source = f"import time, asyncio\nforever = asyncio.Future() if 'forever' in {wait!r} else 0\nprint('on')\n{wait}"
    ref = cell.remote(source, ("x",), {})
    assert until(lambda: "on" in "".join(shown.texts()))
    started = time.monotonic()
    nbray.cancel(ref)
    with pytest.raises(TaskCancelledError):
        nbray.get(ref)
    assert time.monotonic() - started < 0.6, "before it would be killed"
    assert remotely("import os, asyncio\nawait asyncio.sleep(0)\npid = os.getpid()", "pid") == before


@pytest.mark.local
def test_a_large_input_is_a_read_only_copy(backend: Backend) -> None:
    array = np.zeros(100_000)
    source = "total = a.sum()\ntry:\n    a[0] = 1\nexcept ValueError as e:\n    message = str(e)"
    assert remotely(source, "total", "message", a=array) == {"total": 0.0, "message": "assignment destination is read-only"}
    assert array[0] == 0


@pytest.mark.local
def test_a_handle_goes_back_in_as_its_value(backend: Backend) -> None:
    big = remotely("import numpy as np\nbig = np.arange(100_000.0)", "big")["big"]
    assert type(big) is RemoteValue
    values = remotely("kind, total = type(big).__name__, float(big.sum())\nagain = big", "kind", "total", "again", big=big)
    assert (values["kind"], values["total"]) == ("ndarray", 4999950000.0)
    assert np.array_equal(big, values["again"])


def emptied(backend: Backend) -> bool:
    """Whether the store gets empty without a collection in the worker; here an exception and its frames hold refs."""
    gc.collect()
    return until(lambda: backend.snapshot().store.objects == 0)


@pytest.mark.local
def test_nothing_large_stays_on_the_worker(backend: Backend) -> None:
    assert emptied(backend)
    remotely("def f():\n    return a\nkept = [f]", a=np.zeros(100_000))
    with pytest.raises(ZeroDivisionError):
        remotely("def f():\n    return a\n1 / f()[0].astype(int).item()", a=np.zeros(100_000))
    assert emptied(backend)


@pytest.mark.local
def test_a_thread_prints_on_after_its_cell(shown: Shown) -> None:
    remotely("import threading, time\nword = 'late'\ndef later():\n    time.sleep(0.05)\n    print(word)\n"
             "threading.Thread(target=later).start()")  # fmt: skip
    assert until(lambda: shown.texts() == ["late\n"])


@pytest.mark.local
@pytest.mark.parametrize("source", ["import sys\nsys.exit(3)", "exit()"])
def test_exit_reaches_the_driver_as_an_error(backend: Backend, source: str) -> None:
    before = remotely("import os\npid = os.getpid()", "pid")
    with pytest.raises(RemoteError, match="SystemExit"):
        remotely(source)
    assert remotely("import os\npid = os.getpid()", "pid") == before


@pytest.mark.local
def test_tasks_inside_a_cell_run_while_it_waits(backend: Backend) -> None:
    source = "import nbray\nsquares = list(nbray.map(lambda x: x * x, range(5)))\nref = nbray.put(7)\nv = await ref"
    assert remotely(source, "squares", "v") == {"squares": [0, 1, 4, 9, 16], "v": 7}


@nbray.remote
def plain_task() -> None:
    import matplotlib.pyplot as plt
    from IPython.display import clear_output, display

    display({"a": 1})
    plt.plot([1, 2])
    plt.show()
    clear_output()


@pytest.mark.local
def test_displays_and_plots_of_plain_tasks_arrive(shown: Shown) -> None:
    nbray.get(plain_task.remote())
    assert until(lambda: len(shown) == 3)
    assert [stream for stream, _ in shown] == ["display_data", "display_data", "clear_output"]
    assert shown.data()[0] == {"text/plain": "{'a': 1}"}
    assert "image/png" in shown.data()[1]
