"""What a journal says followed from an event: in a replay it goes before what is decided anew, and differences are noted."""

from __future__ import annotations

from collections.abc import Sequence

from nbray.tune.events import Action, Answer, Closing, Moved, Start
from nbray.tune.journal_codec import same_value
from nbray.tune.schedulers.scheduler import Decision
from nbray.tune.trial import ENDED


class Recorded:
    """The actions of one entry; an experiment that handles the event again asks here what came of it the first time."""

    def __init__(self, actions: Sequence[Action]) -> None:
        self._starts = [action for action in actions if isinstance(action, Start)]
        self._answers = {action.trial_id: action for action in actions if isinstance(action, Answer)}
        self.closing = next((action for action in actions if isinstance(action, Closing)), None)
        self.ended = {action.trial_id: action for action in actions if isinstance(action, Moved) and action.state in ENDED}
        self.differences: list[str] = []
        """What came out differently now, in sentences."""

    def note(self, difference: str) -> None:
        """Something came out differently."""
        self.differences.append(difference)

    def may_end(self, trial_id: str) -> bool:
        """Whether a trial that would be given up now was given up."""
        if trial_id not in self.ended:
            self.note(f"trial {trial_id} would be given up now, and was not then")
        return trial_id in self.ended

    def next_start(self) -> Start | None:
        """The next trial that was started."""
        return self._starts.pop(0) if self._starts else None

    def answer(self, trial_id: str, own: Decision, iteration: int) -> tuple[Decision, str]:
        """What the trial was told, and why."""
        told = self._answers.get(trial_id)
        if told is None:
            return own, ""
        if told.decision != own:
            self.note(f"trial {trial_id}, report {iteration}: {told.decision} then, {own} now")
        return Decision(told.decision), told.why

    def compare(self, own: Start, then: Start) -> bool:
        """Whether a trial is started as it was."""
        if not same_value(own.config, then.config):
            self.note(f"trial {then.trial_id}, run {then.attempt}: {then.config} then, {own.config} now")
            return False
        return True

    def note_turn(self, own: str | None, then: str | None) -> None:
        """Another trial was started than would be now."""
        self.note(f"started: {_name(then)} then, {_name(own)} now")


def _name(trial_id: str | None) -> str:
    return "no trial" if trial_id is None else f"trial {trial_id}"
