"""How experiments are started and found: on the cluster, under a controller, or in this process where there is no cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from nbray import introspection, resources, session
from nbray.actor_handles import ActorHandle
from nbray.actors import ActorClass, get_actor, kill
from nbray.errors import InfeasibleRequest, NbrayError, TaskCancelledError, UsageError
from nbray.ids import BACKGROUND
from nbray.objects import ObjectRef, get, put
from nbray.tune import observers, plan_file, trainables
from nbray.tune.attempt import Workplace
from nbray.tune.configs import ResumeConfig
from nbray.tune.controller import Controller, News, Opening, Staffing
from nbray.tune.course import Course
from nbray.tune.events import Added, Asked, Entry
from nbray.tune.inline import Inline
from nbray.tune.plan import Plan
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.tune_run import Follower, TuneRun
from nbray.tune.view import View
from nbray.waiting import wait

PREFIX = "tune:"
"""Of the names of the actors that lead experiments."""
WATCH_SECONDS = 5.0
"""So long the controller keeps a question for news when it has none."""
LEAVE_SECONDS = 5.0
LINGER_SECONDS = 60.0
"""So long an experiment that is over waits for somebody who wants to hear of it."""
PATIENCE_SECONDS = 5.0
"""After so long without a trial that could begin, it is said why."""


def start(
    plan: Plan, resume: ResumeConfig | None = None, followers: Sequence[Follower] = (), *, background: bool = False
) -> TuneRun:
    """Start an experiment, or with `resume` go on with the one on the disk at `plan.path`.

    Returns at once, except on a backend that has no processes: there it returns when all has run. With `background` a thread
    reads what is new until somebody waits for the results. Raises InfeasibleRequest where a trial could never run, NotShippable,
    UsageError where the directory cannot be written or an experiment of that name goes on already.
    """
    observers.announce()
    trainables.check_trainable(plan.trainable)
    needed = trainables.resources_of(plan.trainable)
    if resume is None:
        plan_file.write(plan)
    if session.current_backend().name == "serial":
        return _run_inline(plan, resume, followers, needed)
    staffing = Staffing(
        fits=how_many_fit(needed), options=_actor_options(needed), resources=needed, reuse=plan.tune.reuse_actors,
        code=put((plan.trainable, plan.environments)), patience=PATIENCE_SECONDS, linger=LINGER_SECONDS,
    )  # fmt: skip
    controller = _create(plan, resume, staffing)
    try:
        opening: Opening = get(controller.begin.remote())
    except BaseException:
        kill(controller)
        raise
    return _follow(plan, opening, controller, followers, background=background)


def attach(name: str = "", *, background: bool = True) -> TuneRun:
    """The experiment of that name that goes on in this cluster, or without a name the only one.

    Raises UsageError where there is none, or more than one.
    """
    observers.announce()
    found = _controllers()
    if not name and len(found) == 1:
        name = next(iter(found))
    if name not in found:
        _refuse_name(name, list(found))
    controller = get_actor(PREFIX + name, found[name] or None)
    plan, opening = get(controller.describe.remote())
    return _follow(plan, opening, controller, (), background=background)


def running() -> list[str]:
    """Names of the experiments in this cluster that go on, or have ended a moment ago."""
    return list(_controllers())


def how_many_fit(needed: dict[str, float]) -> int:
    """How many trials can run at once when nothing else does. Raises InfeasibleRequest where not even one can.

    A trial that reserves nothing takes a CPU's turn all the same.
    """
    total = introspection.cluster_resources()
    asked = {name: value for name, value in needed.items() if value}
    lacking = resources.shortfall(_units(asked), _units(total))
    if lacking:
        unknown = resources.nearest_known(_units(asked), _units(total))
        raise InfeasibleRequest(
            f"a trial could never run: {lacking}. {unknown}Ask for less by tune.with_resources(function, {{...}}), or start a "
            "larger cluster by nbray.init"
        )
    counts = [int(_units(total)[name] // units) for name, units in _units(asked or {resources.CPU: 1.0}).items()]
    return max(1, min(counts))


# -------------------------------------------------------------------- on the cluster


class _RemoteLead:
    """The controller, as a TuneRun sees it. Its calls belong to no cell: they go on while others run, and Stop is asked for."""

    def __init__(self, controller: ActorHandle) -> None:
        self._controller = controller
        self._question: ObjectRef | None = None
        """For news; it is kept while there is no answer."""

    def news(self, since: int, timeout: float) -> tuple[Sequence[Entry], Sequence[Rung]] | None:
        if self._question is None:
            with session.submitting_for(BACKGROUND):
                self._question = self._controller.watch.remote(since, WATCH_SECONDS)
        ready, _ = wait([self._question], timeout=timeout)
        if not ready:
            return None
        question, self._question = self._question, None
        try:
            news: News = get(question)
        except TaskCancelledError:  # with the cell that asked it
            return None
        return news.entries, news.rungs

    def ask(self, what: str, trial_id: str) -> None:
        with session.submitting_for(BACKGROUND):
            get(self._controller.ask.remote(what, trial_id))

    def add(self, config: dict[str, Any]) -> None:
        with session.submitting_for(BACKGROUND):
            get(self._controller.add.remote(config))

    def leave(self) -> None:
        try:
            with session.submitting_for(BACKGROUND):
                get(self._controller.leave.remote(), LEAVE_SECONDS)
            kill(self._controller)
        except NbrayError:  # it is gone already, or its cluster is: nothing is left to be ended
            return


def _create(plan: Plan, resume: ResumeConfig | None, staffing: Staffing) -> ActorHandle:
    name = PREFIX + plan.name
    maker = ActorClass(Controller, {"name": name, "lifetime": "detached"})
    try:
        return maker.remote(plan_file.without_code(plan), resume, staffing)
    except UsageError:
        if plan.name not in _controllers():
            raise
    raise UsageError(
        f"an experiment {plan.name!r} goes on already: attach to it by `%nbray tune`, wait for its end, or choose another name= "
        "in RunConfig"
    )


def _follow(plan: Plan, opening: Opening, controller: ActorHandle, followers: Sequence[Follower], *, background: bool) -> TuneRun:
    view = View(opening.metric, opening.mode, opening.total)
    run = TuneRun(plan, view, _RemoteLead(controller), followers).open()
    if background:
        run.follow_in_background()
    return run


def _controllers() -> dict[str, str]:
    """Names of experiments, and the namespaces of the actors that lead them."""
    return {
        str(row["name"]).removeprefix(PREFIX): str(row["namespace"])
        for row in introspection.list_actors()
        if row["state"] in ("ALIVE", "PENDING") and str(row["name"]).startswith(PREFIX)
    }


def _refuse_name(name: str, found: list[str]) -> NoReturn:
    if not found:
        raise UsageError("no experiment goes on in this cluster: start one by tune.Tuner(...).fit(), or Tuner.restore one")
    known = ", ".join(map(repr, found))
    if not name:
        raise UsageError(f"{len(found)} experiments go on: attach to one by its name, of {known}")
    raise UsageError(f"no experiment {name!r} goes on in this cluster: there are {known}")


def _actor_options(needed: dict[str, float]) -> dict[str, Any]:
    known = {resources.CPU: "num_cpus", resources.GPU: "num_gpus", resources.MEMORY: "memory"}
    options: dict[str, Any] = {"num_cpus": 0, "resources": {}}
    for name, value in needed.items():
        if name in known:
            options[known[name]] = value
        elif value:
            options["resources"][name] = value
    return options


def _units(amounts: dict[str, float]) -> dict[str, int]:
    return {name: resources.to_units(value, name) for name, value in amounts.items()}


# -------------------------------------------------------------------- in this process


class _InlineLead:
    """An experiment that runs on this very thread, as a TuneRun sees it: when anybody can ask, it has news no more."""

    inline: Inline

    def news(self, since: int, timeout: float) -> tuple[Sequence[Entry], Sequence[Rung]] | None:
        return None

    def ask(self, what: str, trial_id: str) -> None:
        self.inline.take(Asked(what, trial_id))

    def add(self, config: dict[str, Any]) -> None:
        self.inline.take(Added(config))

    def leave(self) -> None:
        return


def _run_inline(
    plan: Plan, resume: ResumeConfig | None, followers: Sequence[Follower], needed: dict[str, float]
) -> TuneRun:
    how_many_fit(needed)
    course = Course(plan, resume)
    experiment = course.experiment
    lead = _InlineLead()
    run = TuneRun(plan, View(experiment.metric, experiment.mode, experiment.total()), lead, followers).open()

    def told(entries: Sequence[Entry], rungs: Sequence[Rung]) -> None:
        run.hear(entries, rungs)
        run.look()

    lead.inline = Inline(plan, course, Workplace.of(plan, needed, experiment.metric), told)
    run.hear(course.entries, [])
    try:
        lead.inline.run()
    except KeyboardInterrupt:
        run.refresh()
        raise KeyboardInterrupt(run.how_to_go_on()) from None
    run.refresh()
    return run
