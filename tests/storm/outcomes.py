"""Which failures of a job are deserved: each must name a fault that was done, in the words that help a user. Pure."""

from __future__ import annotations

import re
from collections import defaultdict

from tests.storm import mix
from tests.storm.faults import ENDS_CLUSTER
from tests.storm.journal import Ended, Filled
from tests.storm.ledger import Histories
from tests.storm.record import Record

DIED = re.compile(
    r"(?P<worker>worker \d+ \(pid (?P<pid>\d+)\)) ended by (?P<name>SIG\w+) \(signal (?P<signal>\d+)\)"
    r"(?: while it ran (?P<task>[\w.]+)(?:, attempt (?P<attempt>\d+)| of the actor)?)?[^.]*\. (?P<advice>\S.*)"
)
"""What is to be said of a worker's death."""
EARLY = 1.0
"""A kill is written down when it is done: on a busy machine its victim may be missed before."""
SOON = 10.0
"""So many seconds after the end of a cluster its failures may be noticed."""
ODD_ERRORS = {"raises": "ValueError", "unpicklable_error": "RemoteError", "unpicklable_result": "ResultNotShippable"}


class Context:
    """What was done to the cluster, sorted for the questions."""

    def __init__(self, record: Record, histories: Histories) -> None:
        self.histories = histories
        self.signals: dict[int, list[tuple[float, int]]] = defaultdict(list)
        """By pid: when it got which signal."""
        self.ends = [done.at for done in record.done if done.kind in ENDS_CLUSTER and done.pid]
        self.full = _full(record)
        for done in record.done:
            if done.pid and done.signal:
                self.signals[done.pid].append((done.at, done.signal))

    def was_sent(self, pid: int, number: int, since: float, until: float) -> bool:
        """Whether the storm has sent this process that signal by then.

        One that is stopped dies when it goes on, so it may have been sent before a job was submitted that then came to it.
        """
        del since
        return any(signal == number and at <= until + 0.5 for at, signal in self.signals.get(pid, ()))

    def was_full(self, since: float, until: float) -> bool:
        """Whether there was no room in the store or on the disk at some moment between these."""
        return any(begin <= until and end >= since for begin, end in self.full)


def _full(record: Record) -> list[tuple[float, float]]:
    found = [(done.at, done.until) for done in record.done if done.kind == "fill_disk" and not done.note]
    for notebook in record.notebooks:
        filled = [entry for entry in notebook.entries if isinstance(entry, Filled)]
        found += [(entry.begun, entry.at) for entry in filled]
    return found


def complaint(job: mix.Job, ended: Ended, submitted: float, context: Context) -> str:
    """What is wrong about a failure, empty where it is deserved and well told."""
    errors = set(ended.errors)
    if errors & {"ClusterDied", "WrongCluster"}:
        known = any(at - EARLY <= ended.at <= at + SOON for at in context.ends)
        return "" if known else "the cluster has died, and nobody had killed it"
    if "StoreFull" in errors:
        return "" if context.was_full(submitted, ended.at) else "the store is said to be full, and nobody had filled it"
    if errors & {"WorkerDied", "ActorDied"} or "ended by SIG" in ended.message:
        return _about_death(job, ended, submitted, context)
    if job.kind == "odd":
        return _about_odd(job, ended)
    return "nothing was done that explains this"


def _about_odd(job: mix.Job, ended: Ended) -> str:
    if job.how == "cancelled":
        return "" if ended.outcome == "cancelled" else "it was cancelled, and that is not what it says"
    wanted = ODD_ERRORS.get(job.how)
    if wanted not in ended.errors:
        return f"it was to fail as {wanted}"
    if job.how != "unpicklable_result" and f"odd {max(mix.nodes(job))}" not in ended.message:
        return "the text of the task's own error is missing"
    return ""


def _about_death(job: mix.Job, ended: Ended, submitted: float, context: Context) -> str:
    if "ActorDied" in ended.errors and job.how == "repeated":
        return "this actor starts again, whatever happens to its worker"
    told = DIED.search(ended.message)
    if told is None:
        return "it does not say which process ended by which signal, in which task, and what to do"
    pid, number = int(told["pid"]), int(told["signal"])
    if not context.was_sent(pid, number, submitted, ended.at):
        return f"nobody has sent signal {number} to process {pid}"
    if job.kind == "task" and "WorkerDied" in ended.errors:
        return _about_attempt(job, ended, told, context.histories)
    return ""


def _about_attempt(job: mix.Job, ended: Ended, told: re.Match[str], histories: Histories) -> str:
    """Of a task alone it is known which one it was."""
    (node,) = mix.nodes(job)
    if told["task"] is None or not told["task"].endswith("task"):
        return "the name of the task is missing"
    if told["attempt"] != str(1 + job.retries):
        return f"it has {job.retries} retries and failed as attempt {told['attempt']}"
    began = max(histories.attempts(node), default=0)
    if began > int(told["attempt"]):
        return f"attempt {began} has begun, and it says {told['attempt']}"
    if job.talks and began == int(told["attempt"]) and f"begin of {node}" not in ended.message:
        return "its last lines are missing"
    return ""
