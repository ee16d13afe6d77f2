"""Owns what `%nbray tune` means: find experiments that go on, show their cards again, stop, pause and resume trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from nbray.notebook.tuning import steer
from nbray.tune import launch, tune_run
from nbray.wording import count_text

if TYPE_CHECKING:
    from nbray.tune.tune_run import TuneRun

ASKS = ("stop", "pause", "resume")
_USAGE = "as %nbray tune, %nbray tune NAME, %nbray tune stop, %nbray tune pause 3, %nbray tune NAME stop 3"


def tune(words: Sequence[str]) -> TuneRun | None:
    """Do what the words behind `%nbray tune` say; returns an experiment that was found, to wait for its results."""
    name, ask, trial = _parsed(words)
    names = launch.running()
    if not names:
        print("nbray: no experiment goes on in this cluster.")  # noqa: T201
        return None
    if not ask and not name and len(names) > 1:
        print(f"nbray: {count_text(len(names), 'experiment')} go on: {', '.join(names)}. One of them: %nbray tune {names[0]}")  # noqa: T201
        return None
    if not ask:
        return launch.attach(name)
    run = _followed(name) or launch.attach(name)
    steer(run, ask, _trial_id(run, trial) if trial else "")
    print(f"nbray: {_done(ask, run.name, trial)}")  # noqa: T201
    return None


def _parsed(words: Sequence[str]) -> tuple[str, str, str]:
    """Name of the experiment, what is asked, of which trial; "" for what is not said."""
    name, rest = ("", list(words)) if not words or words[0] in ASKS else (words[0], list(words[1:]))
    ask = rest.pop(0) if rest else ""
    trial = rest.pop(0) if rest else ""
    if rest or (ask and ask not in ASKS):
        raise UsageError(f"%nbray tune {' '.join(words)}: expected a name, or stop, pause or resume and a trial, {_USAGE}")
    return name, ask, trial


def _followed(name: str) -> TuneRun | None:
    """The experiment of that name, or the only one, if this notebook follows it already."""
    found = [run for run in tune_run.followed() if name in ("", run.name)]
    if len({run.name for run in found}) > 1:
        names = ", ".join(dict.fromkeys(run.name for run in found))
        raise UsageError(f"%nbray tune: {len(found)} experiments go on ({names}): say which, as %nbray tune {found[0].name} stop")
    return found[-1] if found else None


def _trial_id(run: TuneRun, said: str) -> str:
    """The id of the trial that is called by its number, as the card has it, or by its id."""
    run.refresh()
    trials = run.view.trials
    found = next((each.trial_id for each in trials.values() if said in (each.trial_id, str(each.number))), None)
    if found is None:
        known = f"0 to {len(trials) - 1}" if trials else "none yet"
        raise UsageError(f"%nbray tune: experiment {run.name} has no trial {said!r}; it has {known}")
    return found


def _done(ask: str, name: str, trial: str) -> str:
    what = f"trial {trial} of {name}" if trial else name
    return {"stop": f"{what} is being stopped.", "pause": f"{what} pauses.", "resume": f"{what} goes on."}[ask]
