"""The worker's shell: what cells print, show and raise, in order and under the notebook's names; nothing stays behind."""

from __future__ import annotations

import gc
import linecache
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray import exceptions_shipping
from nbray.notebook.remote_cell import run_cell
from nbray.notebook.remote_shell import TRACEBACK_ATTRIBUTE, CellCode
from tests.notebook.worker_side import Shown, as_task, plain, run, worker_process

PLOT = "import matplotlib.pyplot as plt\n"


@pytest.fixture(scope="module", autouse=True)
def worker() -> Iterator[None]:
    with worker_process():
        run(PLOT + "plt.plot([1]);")  # matplotlib keeps its fonts open
        yield
    from matplotlib import font_manager

    font_manager._get_font.cache_clear()  # type: ignore[attr-defined]


def raised(source: str, kind: type[BaseException] = Exception, shown: Shown | None = None, **inputs: Any) -> BaseException:
    """What a cell raises, as it arrives in the driver."""
    with as_task(Shown() if shown is None else shown):
        with pytest.raises(kind) as caught:
            run_cell(CellCode(source, "/tmp/ipykernel_1/4.py", "[4]"), inputs, {}, ())
        dumped = exceptions_shipping.dump_exception(caught.value)
    return exceptions_shipping.load_exception(*dumped)


def rendered(error: BaseException) -> str:
    return plain(getattr(error, TRACEBACK_ATTRIBUTE))


# -------------------------------------------------------------------- what a cell shows


def test_prints_and_displays_arrive_in_order() -> None:
    shown = run("import sys\nprint('a')\ndisplay(1)\nprint('b')\nprint('c', file=sys.stderr)\ndisplay(2)\n3").shown
    assert [stream for stream, _ in shown] == ["stdout", "display_data", "stdout", "stderr", "display_data", "display_data"]
    assert shown.texts() == ["a\n", "1", "b\n", "c\n", "2", "3"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 1", ["2"]),
        ("1\n2", ["2"]),
        ("x = 1", []),
        ("None", []),
        ("1 + 1;", []),
        ("1 + 1;  # quiet", []),
        ("1 + 1  # loud;", ["2"]),
        ("'a;'", ["'a;'"]),
        ("%%time\n7", ["7"]),
        ("if True:\n    5", []),
        ("for i in range(2):\n    i", []),
        ("", []),
        ("# nothing", []),
    ],
)
def test_the_last_expression_is_shown_unless_a_semicolon_follows(source: str, expected: list[str]) -> None:
    assert [text for stream, text in zip(*_streams(source), strict=True) if stream == "display_data"] == expected


def _streams(source: str) -> tuple[list[str], list[str]]:
    shown = run(source).shown
    return [stream for stream, _ in shown], shown.texts()


def test_rich_displays_keep_their_data() -> None:
    source = (
        "from IPython.display import HTML, Image, JSON\n"
        "display(HTML('<b>x</b>'))\n"
        "display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png', width=5, height=5))\n"
        "display(JSON({'a': 1}))"
    )
    html, png, data = run(source).shown.data()
    assert html["text/html"] == "<b>x</b>"
    assert png["image/png"] == "iVBORw0KGgo="
    assert data["application/json"] == {"a": 1}


def test_a_table_is_shown_as_html_and_text() -> None:
    [data] = run("pd.DataFrame({'a': [1, 2]})", modules={"pd": "pandas"}).shown.data()
    assert "<table" in data["text/html"]
    assert data["text/plain"].splitlines() == ["   a", "0  1", "1  2"]


def test_a_display_is_updated_under_its_id() -> None:
    source = "h = display(1, display_id=True)\nh.update(2)\nfrom IPython.display import update_display\n"
    shown = run(source + "update_display(3, display_id=h.display_id)").shown
    assert [stream for stream, _ in shown] == ["display_data", "update_display_data", "update_display_data"]
    assert len({part["transient"]["display_id"] for _, part in shown}) == 1
    assert shown.texts() == ["1", "2", "3"]


def test_clear_output_is_passed_on() -> None:
    shown = run("from IPython.display import clear_output\nprint(1)\nclear_output(wait=True)\nclear_output()").shown
    assert shown[1:] == [("clear_output", {"wait": True}), ("clear_output", {"wait": False})]


def test_a_display_that_fails_is_shown_as_an_error_and_the_cell_goes_on() -> None:
    source = "class Bad:\n    def _repr_html_(self):\n        raise RuntimeError('no html')\ndisplay(Bad())\nprint('on')\nx = 1"
    outcome, shown = run(source, "x")
    assert outcome.values == {"x": 1}
    [error] = [part for stream, part in shown if stream == "error"]
    assert (error["ename"], error["evalue"]) == ("RuntimeError", "no html")
    assert "Cell In[4], line 3" in plain(error["traceback"])
    assert ("stdout", "on\n") in shown


# -------------------------------------------------------------------- figures

def pictures(shown: Shown) -> int:
    return sum("image/png" in data for data in shown.data())


def test_figures_are_shown_at_the_end_and_closed() -> None:
    shown = run(PLOT + "plt.plot([1, 2])\nplt.figure()\nplt.plot([2, 1])\nprint('drawn');").shown
    assert pictures(shown) == 2
    assert shown[0] == ("stdout", "drawn\n")
    assert run(PLOT + "plt.get_fignums()").shown.texts() == ["[]"]


def test_show_shows_at_once() -> None:
    shown = run(PLOT + "plt.plot([1, 2])\nplt.show()\nprint('after')").shown
    assert [stream for stream, _ in shown] == ["display_data", "stdout"]
    assert pictures(shown) == 1


def test_a_figure_is_shown_though_the_cell_fails_later() -> None:
    shown = Shown()
    raised(PLOT + "plt.plot([1, 2])\n1 / 0", ZeroDivisionError, shown)
    assert pictures(shown) == 1
    assert pictures(run(PLOT + "pass").shown) == 0


@pytest.mark.filterwarnings("ignore:.*deprecated in traitlets:DeprecationWarning")
def test_matplotlib_inline_and_its_options_are_taken() -> None:
    shown = run("%matplotlib inline\n%config InlineBackend.figure_formats = ['svg']\n" + PLOT + "plt.plot([1]);").shown
    assert "image/svg+xml" in shown.data()[0]
    run("%config InlineBackend.figure_formats = ['png']")


# -------------------------------------------------------------------- IPython's own


def test_magics_and_shell_commands_work() -> None:
    assert run("%time x = 2 + 2", "x").outcome.values == {"x": 4}
    assert run("%%time\ny = 3\ny", "y").outcome.values == {"y": 3}
    assert run("x = !echo {word}\nx = list(x)", "x", word="hi").outcome.values == {"x": ["hi"]}
    assert run("!echo $word", word="hi").shown.texts() == ["hi\r\n"]
    assert run("r = %timeit -q -o -n1 -r1 1\nok = r.best > 0", "ok").outcome.values == {"ok": True}
    outcome, shown = run("%%capture out\nprint('kept')", "out")
    assert (outcome.values["out"].stdout, shown) == ("kept\n", [])


def test_help_is_shown_and_nothing_waits_for_a_key() -> None:
    [data] = run("len?").shown.data()
    assert "Return the number of items in a container." in plain([data["text/plain"]])


def test_await_works_in_a_cell() -> None:
    outcome, shown = run("import asyncio\nawait asyncio.sleep(0)\nz = await asyncio.sleep(0, a + 1)\nz", "z", a=4)
    assert outcome.values == {"z": 5}
    assert shown.texts() == ["5"]


def test_what_a_cell_leaves_in_its_loop_ends_with_it() -> None:
    seen: list[int] = []
    run("import asyncio\nasync def forever():\n    while True:\n        await asyncio.sleep(0)\n        seen.append(1)\n"
        "task = asyncio.create_task(forever())\nawait asyncio.sleep(0.001)", seen=seen)  # fmt: skip
    count = len(seen)
    run("import asyncio\nawait asyncio.sleep(0.001)")
    assert count == len(seen) > 0


def test_an_await_that_fails_is_rendered_like_any_other() -> None:
    error = raised("import asyncio\nawait asyncio.sleep(0)\nawait asyncio.wait_for(asyncio.sleep(9), 0)", TimeoutError)
    assert "Cell In[4], line 3" in rendered(error)


def test_asyncio_run_works_in_a_plain_cell() -> None:
    assert run("import asyncio\nx = asyncio.run(asyncio.sleep(0, 3))", "x").outcome.values == {"x": 3}


# -------------------------------------------------------------------- errors


def test_a_traceback_names_the_cell_and_marks_the_line() -> None:
    text = rendered(raised("def f(x):\n    return 1/x\n\nf(0)\n", ZeroDivisionError))
    assert "Cell In[4], line 4\n      1 def f(x):\n      2     return 1/x\n      3 \n----> 4 f(0)" in text
    assert "Cell In[4], line 2, in f(x)\n      1 def f(x):\n----> 2     return 1/x" in text
    assert text.endswith("ZeroDivisionError: division by zero")
    assert "nbray" not in text


def test_frames_in_files_and_causes_are_rendered(tmp_path: Path) -> None:
    (tmp_path / "helper_of_cells.py").write_text("def half(x):\n    return x / 2\n")
    source = "import helper_of_cells as h\ntry:\n    h.half('a')\nexcept TypeError as e:\n    raise ValueError('outer') from e"
    sys.path.insert(0, str(tmp_path))
    try:
        text = rendered(raised(source, ValueError))
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["helper_of_cells"]
    assert "helper_of_cells.py:2, in half(x)" in text
    assert "direct cause" in text
    assert text.index("TypeError") < text.index("Cell In[4], line 5") < text.index("ValueError: outer")


@pytest.mark.parametrize("source", ["for i in range(3) print(i)", "x = (", "  x = 1\n y = 2", "return 5", "x = 1 +"])
def test_a_syntax_error_points_into_the_cell(source: str) -> None:
    error = raised(source, SyntaxError)
    assert "Cell In[4], line" in rendered(error)
    assert "Error: " in rendered(error)


@pytest.mark.parametrize("source", ["import sys\nsys.exit(3)", "raise SystemExit(3)", "exit()", "quit"])
def test_exit_ends_the_cell_only(source: str) -> None:
    shown = Shown()
    error = raised(source, SystemExit, shown)
    assert type(error) is SystemExit
    assert rendered(error) == ("SystemExit: 3" if "3" in source else "SystemExit")
    assert shown == []
    assert run("1").shown.texts() == ["1"]


def test_an_unknown_magic_says_so_in_one_line() -> None:
    shown = Shown()
    error = raised("%no_such_magic", shown=shown)
    assert rendered(error) == "UsageError: Line magic function `%no_such_magic` not found."
    assert shown == []


def test_an_interrupt_inside_is_the_cells_own_error() -> None:
    assert type(raised("raise KeyboardInterrupt", KeyboardInterrupt)) is KeyboardInterrupt


def test_groups_of_exceptions_are_rendered_once() -> None:
    text = rendered(raised("raise ExceptionGroup('two', [ValueError(1), TypeError(2)])", ExceptionGroup))
    assert text.count("ValueError: 1") == text.count("TypeError: 2") == 1


CLASSES = {
    "plain": "class Odd(Exception):\n    pass",
    "two arguments": "class Odd(Exception):\n    def __init__(self, a, b):\n        super().__init__(f'{a}{b}')",
    "slots": "class Odd(Exception):\n    __slots__ = ('a',)",
    "frozen": "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass Odd(Exception):\n    a: int = 1\n    b: int = 2",
    "uses a global": "PREFIX = 'odd: '\nclass Odd(Exception):\n    def __str__(self):\n        return PREFIX + str(self.args)",
    "reduces itself": "class Odd(Exception):\n    def __reduce__(self):\n        return Odd, self.args, self.__dict__",
}


@pytest.mark.parametrize("source", CLASSES.values(), ids=CLASSES)
def test_an_exception_class_of_the_cell_arrives_with_its_traceback(source: str) -> None:
    error = raised(source + "\nraise Odd(1, 2)")
    assert type(error).__name__ == "Odd"
    assert "raise Odd(1, 2)" in rendered(error)


def test_one_that_forgets_its_attributes_has_the_traceback_as_text() -> None:
    error = raised("class Odd(Exception):\n    def __reduce__(self):\n        return Odd, self.args\nraise Odd(1, 2)")
    assert not hasattr(error, TRACEBACK_ATTRIBUTE)
    text = str(error.__cause__)
    assert 'Cell In[4], line 4, in <module>\n    raise Odd(1, 2)' in text
    assert "IPython" not in text


# -------------------------------------------------------------------- nothing stays


def test_each_cell_begins_afresh() -> None:
    run("x = 1\nimport json\nfrom __future__ import annotations\ndef f(a: int): ...\nprint(f.__annotations__)")
    source = "print(sorted(n for n in globals() if n in ('x', 'json')), __name__)\ndef f(a: int): ...\nf.__annotations__"
    shown = run(source).shown
    assert shown.texts() == ["[] __main__\n", "{'a': int}"]


class Big:
    """Stands for a large value: it can be weakly referred to."""


def test_a_cell_keeps_nothing_of_its_inputs() -> None:
    big = Big()
    gone = weakref.ref(big)
    gc.disable()
    try:
        run("def f():\n    return big, f\nkept = [f]", "missing", big=big)
        del big
        assert gone() is None, "the cell's function and its namespace hold each other"
    finally:
        gc.enable()


def test_a_cell_that_failed_keeps_nothing_either() -> None:
    big = Big()
    gone = weakref.ref(big)
    with pytest.raises(ZeroDivisionError):
        run("def f(x):\n    local = big\n    return 1 / 0\nf(big)", big=big)
    del big
    gc.collect()  # pytest's own cycles
    assert gone() is None


def test_fifty_cells_leave_no_trace() -> None:
    def count() -> tuple[int, ...]:
        gc.collect()
        classes = sum(type(each) is type and each.__name__ in ("C", "MainModule") for each in gc.get_objects())
        return classes, len(linecache.cache), len(sys.modules), len(threading.enumerate())

    source = "class C:\n    def f(self):\n        return C\nx = C()\nprint(x.f())\ndisplay(1)\nx"
    run(source, label="[0]")
    before = count()
    for number in range(50):
        run(source, label=f"[{number}]")
    assert count() == before


def test_a_thread_that_goes_on_finds_its_names() -> None:
    go, seen = threading.Event(), list[str]()
    before = set(threading.enumerate())
    run("import threading\nword = 'late'\ndef later():\n    go.wait(5)\n    seen.append(word)\n"
        "threading.Thread(target=later).start()", go=go, seen=seen)  # fmt: skip
    [thread] = set(threading.enumerate()) - before
    go.set()
    thread.join(5)
    assert seen == ["late"]


def test_displays_of_plain_tasks_arrive_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython.display
    from IPython.core import display_functions

    from nbray.notebook import remote_shell

    for module in (display_functions, IPython.display):
        for name in ("display", "clear_output", "publish_display_data"):
            monkeypatch.setattr(module, name, getattr(module, name))
    remote_shell.take_displays()
    shown = Shown()
    with as_task(shown):
        IPython.display.display({"a": 1})
        display_functions.display("x", display_id="here")
        IPython.display.clear_output()
    assert [stream for stream, _ in shown] == ["display_data", "display_data", "clear_output"]
