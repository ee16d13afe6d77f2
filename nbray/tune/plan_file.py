"""The plan on the disk, beside the journal: what an experiment that is taken up again is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nbray import private_folders, sealed
from nbray.errors import NbrayError, UsageError
from nbray.sealed import Broken
from nbray.serialization import dumps, encode, loads
from nbray.tune import trainables
from nbray.tune.plan import Plan

NAME = "experiment.pkl"


def write(plan: Plan) -> None:
    """Write it; a trainable with constants, which may be large, is left out, and has to be given again.

    Raises NotShippable, and UsageError where the directory cannot be written.
    """
    kept = replace(plan, trainable=None) if trainables.parameters_of(plan.trainable) else plan
    data = encode(dumps(kept, "the experiment"))
    directory = Path(plan.path)
    try:
        if not directory.exists():
            private_folders.make(directory)
        with (directory / NAME).open("wb") as file:
            sealed.write(file, data)
    except OSError as error:
        raise UsageError(
            f"{plan.path} cannot be written ({error.strerror or error}): give another folder as storage_path= of RunConfig "
            "(local_dir= of Trainer.fit)"
        ) from error


def read(path: str | Path) -> Plan:
    """The plan in an experiment's directory; its path is where it lies now. Raises UsageError where there is none."""
    directory = Path(path).expanduser().absolute()
    try:
        with (directory / NAME).open("rb") as file:
            data = sealed.read(file)
    except Broken as error:
        raise UsageError(
            f"the plan in {str(directory / NAME)!r} is damaged: {error}. The results are in the journal beside it "
            f"(tune.ExperimentAnalysis({str(directory)!r})); to go on, start a new experiment"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{str(directory)!r} holds no experiment ({NAME}: {error.strerror or error}): give the directory that "
            "ResultGrid.experiment_path or the first line of its output named"
        ) from error
    try:
        plan = loads(data)
    except NbrayError as error:
        raise UsageError(f"the plan in {str(directory / NAME)!r} cannot be read here: {error}") from error
    if not isinstance(plan, Plan):
        raise UsageError(f"{str(directory / NAME)!r} was not written by nbray: it holds a {type(plan).__name__}")
    return replace(plan, path=str(directory))


def without_code(plan: Plan) -> Plan:
    """The plan for those who do not run trials."""
    return replace(plan, trainable=None, environments={})
