"""The manifest of a cell run as long as it goes on: what is known of it so far."""

from __future__ import annotations

import time
from collections.abc import Mapping

import xxhash
from msgspec import structs

from nbray.backends.backend import Written
from nbray.ids import TaskId
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.manifest import FAILED, OK, RUNNING, STOPPED, Manifest, Piece, Stages, Tasks
from nbray.notebook.run_measures import Measures
from nbray.notebook.stages import Errand, split
from nbray.snapshot import CellRunSnapshot
from nbray.wording import one_line

LINE, ERROR = 100, 120
"""Characters of the first line, and of an error's, that are kept."""


_SAYS_LITTLE = (" ", "\t", "import ", "from ", "def ", "async def ", "class ", "@", ")", "]", "}", '"', "'")
"""How lines begin that tell little of a cell."""
NOTHING_WRITTEN = Written(0, 0.0)


class Draft:
    """Changed under the history's lock."""

    def __init__(self, run: CellRun, modules: Mapping[str, str] | None = None) -> None:
        """`modules` are the local ones that workers import, with their versions: those of tasks that tell nothing themselves."""
        self.run = run
        self._modules = dict(modules or {})
        self.how = ""
        self.engine = ""
        self.errands: dict[TaskId, Errand] = {}
        self.measures: dict[TaskId, Measures] = {}
        self.inputs: tuple[Piece, ...] = ()
        self.outputs: tuple[Piece, ...] = ()
        self.shipped = 0
        self.cache = ""
        self.spared = 0.0
        self.ended: float | None = None
        """When the notebook's code had ended."""
        self._source = run.source
        self._outcome = RUNNING
        self._error = ""
        self._counts: CellRunSnapshot | None = None
        self._heard_at = 0.0
        self._idle = 0.0
        """Seconds in which tasks waited and none ran, as far as it was seen."""
        self._waited_for = ""
        self._stored, self._storing = 0, 0.0
        """Bytes that the cell's code has put into the store, and the seconds that took."""
        self._cores = 0

    @property
    def over(self) -> bool:
        """The notebook's code has ended, and all that it gave to the cluster."""
        if self.ended is None:
            return False
        if self.errands:
            return all(errand.came for errand in self.errands.values())
        return self._counts is None or not (self._counts.waiting or self._counts.running)

    @property
    def worth_telling(self) -> bool:
        """Something is known of it."""
        return bool(self.errands or self._counts or self.cache)

    def came(self, task_id: TaskId, now: float, outputs: tuple[Piece, ...]) -> None:
        """The outcome of a cell's code is here."""
        there = self.errands[task_id].there
        if self.ended is not None and there is not None and there.packed < now:
            now = there.packed  # nobody has waited for it: it was fetched between two cells
        self.errands[task_id] = self.errands[task_id]._replace(came=now)
        self.outputs += outputs

    def fail(self, error: BaseException) -> None:
        """The cell has raised this."""
        self._outcome = FAILED
        text = one_line(str(error).partition("\n")[0].partition(". ")[0], ERROR)
        self._error = f"{type(error).__name__}: {text}" if text else type(error).__name__

    def end(self, source: str, outcome: str, error: BaseException | None, written: Written = NOTHING_WRITTEN) -> None:
        """The notebook's code has ended; by then this process had `written` so much into the store."""
        before = self.run.written or NOTHING_WRITTEN  # by a cluster that the cell has started itself
        self._stored, self._storing = max(0, written.size - before.size), max(0.0, written.seconds - before.seconds)
        self.ended, self._source, self._outcome = time.perf_counter(), source, outcome
        self.run.source = ""
        if error is not None and outcome == FAILED:
            self.fail(error)
        if outcome == STOPPED:  # nobody waits for what is left
            self.errands = {key: each._replace(came=each.came or self.ended) for key, each in self.errands.items()}

    def hear(self, counts: CellRunSnapshot, cores: int, now: float) -> None:
        """What has become of its tasks."""
        before = self._counts
        if before is not None and before.waiting and not before.running:
            self._idle += now - self._heard_at
        self._counts, self._heard_at, self._cores = counts, now, cores
        if counts.waiting and counts.waits_for:
            self._waited_for = counts.waits_for

    def manifest(self, notebook: str) -> Manifest:
        """All that is known."""
        told = self.measures.get(max(self.measures, default=TaskId(0)))
        now = time.perf_counter()
        ended = max([self.ended or now, *(errand.came or now for errand in self.errands.values())])
        source = _body(self._source)
        return Manifest(
            cell_run=self.run.id, number=self.run.number, notebook=notebook,
            began=time.time() - (now - self.run.began), how=self._how(), line=told_line(source, last=self._how() == "tasks"),
            code=xxhash.xxh3_128_hexdigest(source.strip().encode())[:16] if source else "",
            outcome=self._outcome if self.over else RUNNING, error=self._error,
            stages=self._stages(ended), tasks=self._tasks(), inputs=self.inputs, outputs=self.outputs,
            shipped=self.shipped, stored=self._stored,
            modules=told.modules if told else self._modules, packages=told.packages if told else {},
            python=told.python if told else "", engine=self.engine, worker=told.worker if told else "",
            attempt=told.attempt if told else 0, cpu=sum(each.cpu for each in self.measures.values()), cores=self._cores,
            waited_for=self._waited_for, cache=self.cache, spared=self.spared,
        )  # fmt: skip

    def _how(self) -> str:
        if not self.errands:
            if self.how:
                return self.how
            return "remote" if self.cache else "parallel" if self._source.lstrip().startswith("%%parallel") else "tasks"
        bg = self.ended is not None and any(not each.came or each.came > self.ended for each in self.errands.values())
        return f"{self.how} --bg" if bg else self.how

    def _stages(self, ended: float) -> Stages:
        found = self._stages_of_work(ended)
        starting = min(found.here, max(0.0, self.run.starting - found.start))
        return structs.replace(found, start=found.start + starting, here=found.here - starting)

    def _stages_of_work(self, ended: float) -> Stages:
        """What is not known to be something else counts as `here`."""
        if self.errands:
            now = time.perf_counter()
            errands = [each if each.came else each._replace(came=now) for each in self.errands.values()]
            return split(errands, self.run.began, ended, self.run.waited, self._idle)
        total = ended - self.run.began
        elapsed = 0.0 if self._counts is None else min(total, self._counts.elapsed)
        ship, idle = min(total, self._storing), min(elapsed, self._idle)
        here = max(0.0, total - elapsed - ship)
        return Stages(ship=ship, queue=idle, run=max(0.0, total - here - ship - idle), here=here)

    def _tasks(self) -> Tasks:
        return Tasks() if self._counts is None else tasks_of(self._counts)


def tasks_of(counts: CellRunSnapshot) -> Tasks:
    """The tasks that have ended."""
    count = counts.succeeded + counts.failed + counts.cancelled
    return Tasks(count, counts.failed, counts.cancelled, counts.run_seconds, counts.elapsed)


def completed(begun: Manifest, counts: CellRunSnapshot) -> Manifest:
    """What was known of a cell run when its kernel was lost, with what the cluster knows of its end."""
    outcome = FAILED if counts.failed else STOPPED if counts.cancelled else OK
    stages = Stages(ship=begun.stages.ship, run=counts.run_seconds, queue=max(0.0, counts.elapsed - counts.run_seconds))
    if tasks_of(counts).count > 1:
        stages = Stages(ship=begun.stages.ship, run=counts.elapsed)
    error = one_line(counts.first_failure, ERROR)
    return structs.replace(begun, outcome=outcome, error=error, stages=stages, tasks=tasks_of(counts))


def _body(source: str) -> str:
    """The code below the line of a cell magic."""
    first, _, rest = source.lstrip().partition("\n")
    return rest if first.startswith("%%") else source


def told_line(source: str, *, last: bool = False) -> str:
    """The line that tells most of a cell: the first, or the `last`, that does something and is no import or definition.

    >>> source = "# load\\nimport x\\n@remote\\ndef f(y):\\n    return y\\n\\nrefs = [f.remote(1)]\\nget(\\n    refs\\n)"
    >>> told_line(source), told_line(source, last=True), told_line("import x")
    ('refs = [f.remote(1)]', 'get(', 'import x')
    """
    code = [line.rstrip() for line in source.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    does = [line for line in code if not line.startswith(_SAYS_LITTLE)]
    found = does or code or [""]
    return one_line(found[-1 if last else 0], LINE)
