"""What is poured over a cluster from a notebook: the cell of each flood, which names its tasks `refs`, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass

WORKERS = 8

SETUP = """
import ctypes, os, sys, time
import nbray
nbray.init(num_workers=8, linger=0)
_ = nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(100)])
"""

_EACH = """
{define}
refs = [nbray.apply_async(pour, ({size},)) for _ in range(8)]
"""


@dataclass(frozen=True)
class Flood:
    """One flood; `size` is what each of eight tasks is given."""

    name: str
    define: str
    quick: int
    full: int
    cell: str = _EACH
    tasks: int = 0
    """How many tasks there are at a time for each unit of size."""

    def code(self, size: int) -> str:
        """The cell."""
        return self.cell.format(define=self.define, size=size)


PRINTS = Flood(
    "megabytes of lines",
    """
def pour(megabytes):
    text = ("x" * 99 + chr(10)) * 10_000
    for _ in range(megabytes):
        print(text, end="")
    return megabytes
""", 100, 1000,
)  # fmt: skip

ONE_BYTE = Flood(
    "one byte at a time",
    """
def pour(count):
    write = sys.stdout.write
    for _ in range(count):
        write("x")
    return count
""", 100_000, 1_250_000,
)  # fmt: skip

NO_NEWLINE = Flood(
    "megabytes without a newline",
    """
def pour(megabytes):
    for _ in range(megabytes):
        sys.stdout.write("y" * 1_000_000)
    return megabytes
""", 50, 1000,
)  # fmt: skip

NO_TEXT = Flood(
    "megabytes that are no text",
    """
def pour(megabytes):
    noise = bytes(range(128, 256)) * 7812
    for _ in range(megabytes):
        sys.stdout.buffer.write(noise)
    return megabytes
""", 50, 1000,
)  # fmt: skip

BARS = Flood(
    "thousands of states of a bar",
    """
def pour(thousands):
    for number in range(1000 * thousands):
        sys.stderr.write(f"{chr(13)}{number:6d} |{'#' * (number % 60):60s}|")
    return thousands
""", 50, 1000,
)  # fmt: skip

C_WRITES = Flood(
    "megabytes of C's writes",
    """
def pour(megabytes):
    libc, text = ctypes.CDLL(None), (b"z" * 99 + b"%d" + bytes([10])) * 100
    for _ in range(50 * megabytes):
        os.write(1, text)
        libc.printf(text, *range(100))
    return megabytes
""", 50, 1000,
)  # fmt: skip

CHANGES = Flood(
    "thousands of tasks of tasks",
    """
def pour(thousands):
    for _ in range(thousands):
        nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(1000)])
    return thousands
""", 3, 100,
)  # fmt: skip

CANCELLED = Flood(
    "thousands queued and cancelled", "", 20, 100,
    """
slow = [nbray.apply_async(time.sleep, (1000,)) for _ in range(1000 * {size})]
report = nbray.cancel(slow)
assert report.cancelled + report.stopping == len(slow), report
del slow
refs = [nbray.apply_async(abs, ({size},)) for _ in range(8)]
""", 1000,
)  # fmt: skip

FLOODS = (PRINTS, ONE_BYTE, NO_NEWLINE, NO_TEXT, BARS, C_WRITES, CHANGES, CANCELLED)
