"""Runs targets on inputs from a seed and from the corpus; what fails is made small and kept."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.targets import Run, Target

CORPUS = Path(__file__).parent / "corpus"
LENGTHS = (4, 16, 64, 256, 1024, 4096)
MOST_SHRINKS = 400


@dataclass
class Report:
    """What became of one target."""

    target: Target
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    """CPU seconds of one input, its mutation and checks included."""
    failures: dict[str, tuple[bytes, BaseException]] = field(default_factory=dict)
    """By what was raised and where: the smallest input that does it."""

    def row(self) -> str:
        """For the table."""
        total, failed = self.outcomes.total(), len(self.failures)
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self.outcomes.items()))
        slowest = f"{self.slowest * 1e3:8.1f} ms"
        return f"{self.target.name:16} {total:>11,}  {counts:42} {slowest}  {failed:>3} wrong  {self.target.asked}"


def kept(target: Target) -> list[bytes]:
    """The inputs of the corpus for a target, in order."""
    return [path.read_bytes() for path in sorted((CORPUS / target.name.replace(" ", "_")).glob("*"))]


def random_inputs(seed: str) -> Iterator[bytes]:
    """Without end, the same for the same seed."""
    draw = random.Random(seed)
    while True:
        yield draw.randbytes(draw.choice(LENGTHS))


def neighbours(corpus: list[bytes], seed: str) -> Iterator[bytes]:
    """Inputs that are nearly what is kept."""
    draw = random.Random(seed)
    while corpus:
        data = bytearray(draw.choice(corpus) or b"\0")
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        yield bytes(data)


def attack(target: Target, inputs: Iterable[bytes], seconds: float = float("inf")) -> Report:
    """Run a target on inputs for so long at most."""
    report, deadline = Report(target), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="nbf-") as name:
        Path(name).chmod(0o700)
        with target.open(Path(name)) as run:
            for data in inputs:
                _try(report, run, data)
                if time.monotonic() > deadline:
                    break
    return report


def _try(report: Report, run: Run, data: bytes) -> None:
    started = time.thread_time()
    try:
        report.outcomes[run(data)] += 1
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        report.outcomes["wrong"] += 1
        where = place_of(error)
        if where not in report.failures:
            report.failures[where] = shrunk(run, data, where), error
    report.slowest = max(report.slowest, time.thread_time() - started)



def failure_of(run: Run, data: bytes) -> Exception | None:
    """What the target raises that it must not."""
    try:
        run(data)
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return error
    return None


def place_of(error: BaseException) -> str:
    """Tells failures apart: the type, and the innermost line."""
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{type(error).__name__} at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def shrunk(run: Run, data: bytes, where: str) -> bytes:
    """A smaller input that fails in the same place."""
    tries, step = 0, max(1, len(data) // 2)
    while step and tries < MOST_SHRINKS:
        smaller = False
        for begin in range(0, len(data), step):
            candidate = data[:begin] + data[begin + step :]
            tries += 1
            error = failure_of(run, candidate)
            if error is not None and place_of(error) == where:
                data, smaller = candidate, True
                break
            if tries >= MOST_SHRINKS:
                break
        step = step if smaller else step // 2
    return data
