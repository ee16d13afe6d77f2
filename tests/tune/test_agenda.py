from __future__ import annotations

from nbray.tune.agenda import Agenda, Turn, id_of
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers.scheduler import Resumption
from nbray.tune.trial import Trial, TrialState
from tests.tune.stage import ListSearcher, ScriptedScheduler


class Scene:
    def __init__(self, *values: object, num_samples: int = -1, total: int | None = None) -> None:
        self.scheduler = ScriptedScheduler()
        self.trials: dict[str, Trial] = {}
        self.agenda = Agenda(ExperimentConfig(ListSearcher(values, total), self.scheduler, num_samples=num_samples), self.trials)

    def trial(self, state: TrialState) -> str:
        trial = Trial(id_of(len(self.trials)), {}, state=state)
        self.trials[trial.trial_id] = trial
        return trial.trial_id


def test_who_waits_goes_before_the_schedulers_choice_and_that_before_new_ones() -> None:
    scene = Scene(1)
    paused, waiting = scene.trial(TrialState.PAUSED), scene.trial(TrialState.PENDING)
    scene.scheduler.resume.append(Resumption(paused, {"x": 2}, waiting))
    scene.agenda.wait(waiting)
    turns = [scene.agenda.next() for _ in range(4)]
    assert turns == [Turn(waiting), Turn(paused, {"x": 2}, waiting), Turn("00002", {"x": 1}), None]


def test_the_scheduler_hears_once_that_nothing_new_comes_and_may_choose_then() -> None:
    scene = Scene()
    paused = scene.trial(TrialState.PAUSED)
    finished = scene.scheduler.on_search_finished

    def choose_at_the_end() -> None:
        finished()
        scene.scheduler.resume.append(Resumption(paused))

    scene.scheduler.on_search_finished = choose_at_the_end  # type: ignore[method-assign]
    assert scene.agenda.next() == Turn(paused)
    assert scene.agenda.next() is None
    assert scene.scheduler.heard == [("search finished",)]
    assert scene.agenda.exhausted


def test_a_searcher_that_does_not_know_how_many_is_asked_for_num_samples() -> None:
    scene = Scene(1, 2, 3, num_samples=2)
    assert scene.agenda.total() == 2
    assert [scene.agenda.next() is None for _ in range(3)] == [False, False, True]
    assert scene.agenda.exhausted
    known = Scene(1, 2, 3, num_samples=2, total=3)
    assert known.agenda.total() == 3
    assert [known.agenda.next() is None for _ in range(4)] == [False, False, False, True]
    assert Scene().agenda.total() is None


def test_a_searcher_may_have_nothing_for_a_while() -> None:
    scene = Scene("later", 1)
    assert scene.agenda.next() is None
    assert (scene.agenda.silent, scene.agenda.exhausted) == (True, False)
    assert scene.agenda.next() == Turn("00000", {"x": 1})
    assert not scene.agenda.silent


def test_a_scheduler_may_want_no_new_trials() -> None:
    scene = Scene(1)
    scene.scheduler.wants_new = False
    assert scene.agenda.next() is None
    assert not scene.agenda.silent


def test_halted_nobody_has_a_turn() -> None:
    scene = Scene(1)
    scene.agenda.wait(scene.trial(TrialState.PENDING))
    scene.agenda.halted = True
    assert scene.agenda.next() is None


def test_a_turn_for_a_trial_that_is_not_yet_paused_waits_until_it_is() -> None:
    scene = Scene()
    trial_id = scene.trial(TrialState.PAUSING)
    scene.scheduler.resume.append(Resumption(trial_id))
    assert scene.agenda.next() is None
    scene.trials[trial_id].state = TrialState.PAUSED
    scene.agenda.paused(trial_id)
    assert scene.agenda.next() == Turn(trial_id)


def test_who_is_held_has_no_turn_until_released() -> None:
    scene = Scene()
    mine, its = scene.trial(TrialState.PAUSED), scene.trial(TrialState.PAUSED)
    scene.agenda.hold(mine, own_turn=True)
    scene.agenda.hold(its)
    scene.scheduler.resume.append(Resumption(its, {"x": 3}))
    assert scene.agenda.next() is None
    scene.agenda.release(its)
    assert scene.agenda.next() == Turn(its, {"x": 3})
    scene.agenda.release(mine)
    assert scene.agenda.next() == Turn(mine)
    assert not scene.agenda.is_held(mine)


def test_who_waits_can_be_held_and_keeps_its_turn() -> None:
    scene = Scene()
    trial_id = scene.trial(TrialState.PENDING)
    scene.agenda.wait(trial_id)
    scene.agenda.hold(trial_id)
    assert scene.agenda.next() is None
    scene.trials[trial_id].state = TrialState.PAUSED
    scene.agenda.release(trial_id)
    assert scene.agenda.next() == Turn(trial_id)


def test_who_has_ended_is_forgotten() -> None:
    scene = Scene()
    trial_id = scene.trial(TrialState.PAUSED)
    scene.agenda.wait(trial_id)
    scene.agenda.forget(trial_id)
    scene.trials[trial_id].state = TrialState.TERMINATED
    scene.scheduler.resume.append(Resumption(trial_id))
    assert scene.agenda.next() is None


def test_who_has_ended_is_neither_held_nor_due_if_it_is_revived() -> None:
    scene = Scene()
    trial_id = scene.trial(TrialState.PAUSED)
    scene.agenda.hold(trial_id, own_turn=True)
    scene.agenda.forget(trial_id)
    assert not scene.agenda.is_held(trial_id)
    scene.agenda.paused(trial_id)
    assert scene.agenda.next() is None


def test_turns_are_given_back_and_taken_out_of_order() -> None:
    scene = Scene(1)
    first, second = scene.trial(TrialState.PENDING), scene.trial(TrialState.PENDING)
    scene.agenda.wait(first)
    scene.agenda.wait(second)
    assert scene.agenda.take(second) == Turn(second)
    turn = scene.agenda.next()
    assert turn == Turn(first)
    scene.agenda.give_back(turn)
    assert scene.agenda.next() == Turn(first)
    assert scene.agenda.take(first) == Turn(first), "out of nothing, if the journal says so"
    assert scene.agenda.take("00009") == Turn("00009", {})
