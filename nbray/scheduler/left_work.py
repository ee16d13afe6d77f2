"""What can be asked about the work that drivers have left behind, and how a later driver of the job takes it over."""

from __future__ import annotations

from collections.abc import Iterable

from nbray.ids import BACKGROUND, CellRunId
from nbray.scheduler.cell_runs import CellRun, Job, Jobs
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import TAKEN_OVER, Ask
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pictures import Pictures
from nbray.scheduler.processes import Contradiction, Process
from nbray.snapshot import LeftCellRun


class LeftWork:
    """Lists cell runs with what is kept of them, and hands one over."""

    QUESTIONS = "left_work", "take_over", "jobs"

    def __init__(self, jobs: Jobs, objects: Objects, output: OutputDesk, pictures: Pictures, deadlines: Deadlines) -> None:
        self._jobs = jobs
        self._objects = objects
        self._output = output
        self._pictures = pictures
        self._deadlines = deadlines

    def answer(self, process: Process, job: Job, message: Ask) -> object | None:
        """The answer to one of these questions, None for any other."""
        if message.question == "left_work":
            return self._list(self._jobs.runs() if message.argument else job.runs.values())
        if message.question == "take_over":
            if message.argument >= len(TAKEN_OVER):
                raise Contradiction(f"take over what: {message.argument}")
            return self._take_over(process, job, CellRunId(message.text), TAKEN_OVER[message.argument])
        if message.question == "jobs":
            return self._jobs.drivers_by_job()
        return None

    def _list(self, runs: Iterable[CellRun]) -> list[LeftCellRun]:
        chosen = [run for run in runs if (run.live or run.ended) and run.cell_run != BACKGROUND]
        now = self._deadlines.now
        return [
            LeftCellRun(
                counts, run.missed_from is not None, 0.0 if run.live else max(0.0, now - run.last_end), len(run.job.drivers),
                run.output.size, sorted(run.held), run.notes,
            )
            for run, counts in zip(chosen, self._pictures.of(chosen, now), strict=True)
        ]  # fmt: skip

    def _take_over(self, process: Process, job: Job, cell_run: CellRunId, output: str) -> dict[str, object]:
        """Its references pass to this driver, and its output is shown again. Only for a driver of the job."""
        run = job.runs.get(cell_run)
        if run is None or process.job is not job:
            return {"found": False, "results": []}
        results = sorted(run.held)
        self._objects.hold(process, results)
        self._jobs.release(run)
        if output != "none":
            since = run.missed_from if output == "unseen" else None
            run.missed_from = None
            self._output.show_again(process, run, 0.0 if since is None else since)
        return {"found": True, "results": results}
