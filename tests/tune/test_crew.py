"""The crew, with runners that only pretend to be actors: calls that end in every way, and signals that come too late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nbray.errors import ActorDied, TaskCancelledError
from nbray.tune import crew as crews
from nbray.tune.attempt import Assignment
from nbray.tune.crew import Crew
from nbray.tune.events import Asked, Ended, Event, Failed, Noticed, Slots, Start


class Handle:
    """A runner's actor: its calls are futures that the test ends."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.given: list[Assignment | None] = []
        self.names: list[str] = []
        self.alone: list[bool] = []
        self.call: asyncio.Future[Assignment | None] = asyncio.get_running_loop().create_future()

    @property
    def run(self) -> Handle:
        return self

    def options(self, name: str) -> Handle:
        self.names.append(name)
        return self

    def remote(self, assignment: Assignment | None, alone: bool) -> asyncio.Future[Assignment | None]:
        self.given.append(assignment)
        self.alone.append(alone)
        self.call = asyncio.get_running_loop().create_future()
        return self.call


class Boss:
    def __init__(self) -> None:
        self.is_over = False
        self.taken: list[Event] = []
        self.left = 0

    def take(self, event: Event) -> None:
        self.taken.append(event)

    def staff(self) -> None:
        self.left += 1


class Stage:
    """A crew of pretended runners."""

    def __init__(self, *, reuse: bool = True) -> None:
        self.boss = Boss()
        self.handles: dict[int, Handle] = {}
        self.crew = Crew(self.boss, "e", self._hire, reuse=reuse)
        self.asking: dict[int, asyncio.Task[Assignment | None]] = {}

    def _hire(self, number: int) -> Handle:
        self.handles[number] = Handle(number)
        return self.handles[number]

    async def fill(self, wanted: int) -> None:
        self.crew.fill(wanted)
        await settle()

    async def ask(self, number: int, outcome: Any = None) -> asyncio.Task[Assignment | None]:
        """A runner asks for work."""
        self.asking[number] = asyncio.create_task(self.crew.next_assignment(number, outcome))
        await settle()
        return self.asking[number]

    async def busy(self) -> None:
        """One runner, which runs trial "a"."""
        await self.fill(1)
        asked = await self.ask(1)
        self.crew.queue(assignment("a"))
        self.crew.match()
        assert await asked == assignment("a")
        self.boss.taken.clear()

    async def end(self, number: int, result: Any) -> None:
        """A runner's call ends."""
        call = self.handles[number].call
        if isinstance(result, BaseException):
            call.set_exception(result)
        else:
            call.set_result(result)
        await settle()


def assignment(trial_id: str) -> Assignment:
    return Assignment(Start(trial_id, 1, {}), trial_id, f"/e/trial_{trial_id}")


def over(trial_id: str) -> Ended:
    return Ended(trial_id, 1, obeyed=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def signals(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was cancelled and killed."""
    sent: list[Any] = []
    monkeypatch.setattr(crews, "cancel", lambda call: sent.append("cancel"))
    monkeypatch.setattr(crews, "kill", lambda handle: sent.append(("kill", handle.number)))
    monkeypatch.setattr(crews, "GRACE_SECONDS", 0.01)
    return sent


def test_a_runner_is_a_place_once_it_has_asked() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.fill(2)
        await stage.fill(2)
        assert (list(stage.handles), stage.crew.slots, stage.boss.taken) == ([1, 2], 0, [])
        asked = await stage.ask(2)
        assert stage.boss.taken == [Slots(1)]
        stage.crew.queue(assignment("a"))
        stage.crew.match()
        assert await asked == assignment("a")
        assert stage.crew.runs("a", 1)
        assert not stage.crew.runs("a", 2)
        last = await stage.ask(2, Ended("a", 1))
        assert stage.boss.taken == [Slots(1), Ended("a", 1)]
        stage.boss.is_over = True
        stage.crew.dismiss()
        assert await last is None
        await stage.end(2, None)
        await stage.end(1, TaskCancelledError("it had not begun"))
        await stage.crew.gone()

    asyncio.run(run())


def test_a_job_that_is_handed_back_goes_to_the_next_call() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        await stage.end(1, assignment("a"))
        assert stage.handles[1].given == [None, assignment("a")]
        assert stage.boss.taken == []

    asyncio.run(run())


def test_a_call_bears_the_name_of_its_trial_unless_short_ones_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        await stage.end(1, assignment("a"))
        await stage.end(1, assignment("b"))  # "a" was short
        monkeypatch.setattr(crews, "SHORT_SECONDS", 0.0)
        await stage.end(1, assignment("c"))  # this call was not
        assert stage.handles[1].names == ["e", "a", "e", "c"]
        assert stage.handles[1].alone == [True, True, False, True]

    asyncio.run(run())


def test_an_interrupt_between_two_calls_is_not_lost(signals: list[Any]) -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        stage.handles[1].call.set_result(assignment("a"))
        stage.crew.interrupt("a")
        await settle()
        assert stage.handles[1].given == [None, None]
        assert stage.boss.taken == [Slots(0), over("a")]

    asyncio.run(run())


def test_an_interrupt_that_is_obeyed_leaves_the_process_alive(signals: list[Any]) -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        stage.crew.interrupt("a")
        stage.crew.interrupt("a")
        await stage.end(1, TaskCancelledError("cancelled"))
        assert stage.boss.taken == [Slots(0), over("a")]
        await asyncio.sleep(0.03)
        assert signals == ["cancel"]
        await stage.ask(1)
        assert stage.boss.taken[-1] == Slots(1)

    asyncio.run(run())


def test_who_does_not_obey_is_killed(signals: list[Any]) -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        stage.crew.interrupt("a")
        await asyncio.sleep(0.03)
        assert signals == ["cancel", ("kill", 1)]
        await stage.end(1, ActorDied("it was killed"))
        assert stage.boss.taken == [Slots(0), over("a")]
        assert stage.boss.left == 1

    asyncio.run(run())


def test_who_catches_the_interrupt_and_ends_gets_no_other_trial_in_that_call(signals: list[Any]) -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        stage.crew.interrupt("a")
        assert await (await stage.ask(1, Ended("a", 1, metrics={"loss": 1}))) is None
        assert stage.boss.taken == [Slots(0), Ended("a", 1, metrics={"loss": 1})]
        await stage.end(1, None)
        assert stage.handles[1].given == [None, None]
        await stage.ask(1)
        assert stage.crew.slots == 1

    asyncio.run(run())


def test_a_trial_that_waits_for_a_runner_is_taken_back(signals: list[Any]) -> None:
    async def run() -> None:
        stage = Stage()
        stage.crew.queue(assignment("a"))
        stage.crew.interrupt("a")
        stage.crew.interrupt("b")  # nobody has it: it has ended meanwhile
        assert (stage.boss.taken, signals) == ([over("a")], [])

    asyncio.run(run())


def test_a_cell_that_is_stopped_stops_the_experiment() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        await stage.end(1, TaskCancelledError("with its cell"))
        assert stage.boss.taken == [Asked("interrupt"), Slots(0), over("a")]

    asyncio.run(run())


def test_a_question_that_is_cancelled_with_the_cell_takes_no_job() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.fill(1)
        asked = await stage.ask(1)
        asked.cancel()
        await settle()
        assert stage.boss.taken == [Slots(1), Slots(0)]
        stage.crew.queue(assignment("a"))
        stage.crew.match()
        await stage.end(1, None)  # its runner gives up, and is called again
        assert await (await stage.ask(1)) == assignment("a")

    asyncio.run(run())


def test_a_runner_that_gives_up_with_a_trial_stops_the_experiment() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        await stage.end(1, None)
        assert stage.boss.taken == [Asked("interrupt"), Slots(0), over("a")]

    asyncio.run(run())


def test_an_interrupt_that_the_users_code_raises_itself_is_a_failure() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        await stage.end(1, KeyboardInterrupt("mine"))
        assert stage.boss.taken == [Slots(0), Failed("a", 1, "KeyboardInterrupt: mine")]

    asyncio.run(run())


def test_a_runner_that_dies_fails_its_trial_and_another_may_come() -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        await stage.end(1, ActorDied("SIGKILL"))
        assert stage.boss.taken == [Slots(0), Failed("a", 1, "ActorDied: SIGKILL")]
        assert stage.boss.left == 1
        await stage.fill(1)
        assert list(stage.handles) == [1, 2]

    asyncio.run(run())


def test_runners_that_die_before_they_speak_end_the_experiment() -> None:
    async def run() -> None:
        stage = Stage()
        for number in (1, 2, 3):
            await stage.fill(1)
            await stage.end(number, ActorDied("no memory"))
        assert stage.boss.taken[-2:] == [Noticed("No process for trials can be started: no memory"), Asked("interrupt")]

    asyncio.run(run())


def test_without_reuse_a_runner_leaves_after_its_trial() -> None:
    async def run() -> None:
        stage = Stage(reuse=False)
        await stage.busy()
        assert await (await stage.ask(1, Ended("a", 1))) is None
        assert stage.boss.taken == [Slots(0), Ended("a", 1)]
        await stage.end(1, None)
        assert stage.boss.left == 1
        assert await (await stage.ask(1)) is None  # nobody knows it any more

    asyncio.run(run())


def test_a_loop_that_is_over_ends_who_runs(signals: list[Any]) -> None:
    async def run() -> None:
        stage = Stage()
        await stage.busy()
        stage.boss.is_over = True
        stage.crew.dismiss()
        assert signals == ["cancel"]
        await stage.end(1, TaskCancelledError("cancelled"))
        await stage.crew.gone()

    asyncio.run(run())
