"""What users of notebooks wait for: a remote cell beside a local one, Tab, Stop, and all of it again after a restart."""

from __future__ import annotations

import contextlib
import random
import statistics
from collections.abc import Callable, Iterator

from tests.benchmarks.kernels import Notebook, notebook
from tests.benchmarks.measurements import Measured
from tests.benchmarks.systems import System, Unsupported

ROUNDS = 30
WARM = 5
"""Rounds that are not counted: processes import what they need."""
NAMES = 50
STOPS = 50
LONGEST_PAUSE = 0.3
"""Seconds from the first line of a cell to Stop, at most."""
FINISHED_TASKS = 1000


@contextlib.contextmanager
def _opened(system: System) -> Iterator[tuple[Notebook, str]]:
    """A notebook that has run the system's first cell, and the magic that sends a cell to one worker."""
    first, magic = system.cell_magic()
    with notebook() as opened:
        opened.run(first)
        yield opened, magic


@contextlib.contextmanager
def _nbray(system: System) -> Iterator[tuple[Notebook, str]]:
    if system.module != "nbray":
        raise Unsupported
    with _opened(system) as opened:
        yield opened


def _overhead(opened: Notebook, magic: str, code: str, before: Callable[[int], str] | None = None) -> Measured:
    """Milliseconds that a cell takes longer on a worker, where it takes turns with the same cell in the kernel."""
    here, there = [], []
    for number in range(WARM + ROUNDS):
        if before is not None:
            opened.run(before(number))
        here.append(opened.run(code).seconds * 1e3)
        there.append(opened.run(f"{magic}\n{code}").seconds * 1e3)
    local, remote = statistics.median(here[WARM:]), sorted(there[WARM:])
    note = f"p50 {statistics.median(remote):.1f} and p90 {remote[-ROUNDS // 10]:.1f}, in the kernel {local:.1f} ms"
    return Measured([statistics.median(remote) - local], note)


def trivial(system: System) -> Measured:
    with _opened(system) as (opened, magic):
        return _overhead(opened, magic, "1 + 1")


def captured(system: System) -> Measured:
    """Fifty names, all of them new ones each time: numbers, strings, lists, dicts, functions, and arrays of 80 KB."""
    makers = (
        "{0} + {1}", "str({0} + {1})", "list(range({0}, {0} + 100))", "{{'round': {0}, 'name': {1}}}",
        "lambda x: x + {0} + {1}", "numpy.full(10_000, {0} + {1})",
    )  # fmt: skip

    def new_names(number: int) -> str:
        lines = [f"name_{place} = " + makers[place % len(makers)].format(number, place) for place in range(NAMES)]
        return "\n".join(["import numpy", *lines])

    names = ", ".join(f"name_{place}" for place in range(NAMES))
    with _nbray(system) as (opened, magic):
        return _overhead(opened, magic, f"len([{names}])", new_names)


def cache_hit(system: System) -> Measured:
    with _nbray(system) as (opened, magic):
        opened.run("import secrets\nword = secrets.token_hex(8)")
        code = f"{magic} --cache\nimport time\ntime.sleep(0.5)\nlength = len(word)\nlength"
        opened.run(code)
        hits = [opened.run(code).seconds * 1e3 for _ in range(WARM + ROUNDS)]
        if max(hits[WARM:]) >= 500:
            raise AssertionError(f"the cell ran again: it took {max(hits[WARM:]):.0f} ms")
    return Measured(hits[WARM:], f"slowest {max(hits[WARM:]):.1f} ms")


def tab(system: System) -> Measured:
    """Names of the notebook's remote half, and attributes of what only lives there."""
    with _nbray(system) as (opened, _):
        opened.run("%remote on")
        opened.run("import collections\nremote_counter = collections.Counter('abc')\nremote_list = [1, 2, 3]")
        times = []
        for number in range(WARM + ROUNDS):
            code, expected = (("remote_c", "remote_counter"), ("remote_counter.most_c", "most_common"))[number % 2]
            seconds, matches = opened.complete(code)
            if not any(expected in match for match in matches):
                raise AssertionError(f"Tab after {code!r} offers {matches[:10]}, not {expected!r}")
            times.append(seconds * 1e3)
    return Measured(times[WARM:], f"slowest {max(times[WARM:]):.1f} ms")


STOPPED = {
    "sleep": "%%remote\nimport time\nprint('begun')\ntime.sleep(600)",
    "loop": "%%remote\nprint('begun')\nwhile True: pass",
    "numpy": "%%remote\nimport numpy\nlarge = numpy.random.default_rng(0).random((2500, 2500))\nprint('begun')\n"
             "numpy.linalg.svd(large)",
    "child": "%%remote\nimport subprocess\nprint('begun')\nsubprocess.run(['sleep', '600'])",
    "parallel": "%%parallel for item in range(20)\nimport time\nprint('begun')\ntime.sleep(600)",
    "await": "task = sleeper.remote()\nprint('begun')\nawait task",
}  # fmt: skip
"""Cells that never end by themselves, by what they are doing."""


def stop(system: System) -> Measured:
    """Seconds from Stop to a kernel that is idle again, each kind of work in its turn."""
    pauses = random.Random(5)
    with _nbray(system) as (opened, _):
        opened.run("import nbray, time\n@nbray.remote\ndef sleeper():\n    time.sleep(600)")
        opened.run("%%remote\nimport numpy\nnumpy.linalg.svd(numpy.ones((3, 3)))")
        taken: dict[str, list[float]] = {kind: [] for kind in STOPPED}
        for number in range(STOPS):
            kind = list(STOPPED)[number % len(STOPPED)]
            taken[kind].append(opened.stop(STOPPED[kind], "begun", pauses.uniform(0, LONGEST_PAUSE)))
        if opened.run("%%remote\n1 + 1").text != "2":
            raise AssertionError("the notebook is of no use after Stop")
    times = [seconds for kind in taken.values() for seconds in kind]
    slowest = ", ".join(f"{kind} {max(times):.2f}" for kind, times in taken.items())
    return Measured(times, f"{sum(seconds <= 1 for seconds in times)} of {len(times)} within 1 s; slowest: {slowest}")


def attach(system: System) -> Measured:
    """A notebook with a thousand finished tasks whose results a cell's name held; the kernel dies, another one attaches."""
    with _nbray(system) as (opened, _):
        opened.run(
            "import nbray\n@nbray.remote\ndef square(n):\n    print(n)\n    return n * n\n"
            f"refs = [square.remote(n) for n in range({FINISHED_TASKS})]\nsum(nbray.get(refs))"
        )
        opened.kill_and_restart()
        opened.run("%load_ext nbray")
        ran = opened.run("found = %nbray attach")
        count = opened.run("print(sum(len(cell.refs) for cell in found.cells))").text.strip()
    if count != str(FINISHED_TASKS):
        raise AssertionError(f"{count} of {FINISHED_TASKS} results came back: {ran.text[-300:]}")
    return Measured([ran.seconds])
