"""Optuna's samplers by name."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nbray.errors import UsageError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

NAMES = ("tpe", "cmaes", "gp", "nsga2", "qmc", "random")


def check_sampler(sampler: Any) -> None:
    """Raises UsageError unless it is None, a name, or something with the methods of Optuna's samplers."""
    if sampler is None or sampler in NAMES or (hasattr(sampler, "sample_independent") and not isinstance(sampler, type)):
        return
    names = ", ".join(f'"{name}"' for name in NAMES)
    raise UsageError(
        f'OptunaSearch got sampler={sampler!r}. It takes one of {names}, or a sampler object: '
        "optuna.samplers.TPESampler(seed=1)."
    )


def make_sampler(sampler: str | BaseSampler | None, seed: int) -> BaseSampler:
    """The sampler of this name, seeded; an object is taken as it is. Raises UsageError if a package is missing."""
    from optuna import samplers

    name = sampler or "tpe"
    if not isinstance(name, str):
        return name
    if name == "gp":
        _need("torch", "scipy")
    if name == "cmaes":
        _need("cmaes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", _experimental())  # what its maintainers call so is of no use to who asks for it by name
        makers = {
            "tpe": samplers.TPESampler, "cmaes": samplers.CmaEsSampler, "gp": samplers.GPSampler,
            "nsga2": samplers.NSGAIISampler, "qmc": samplers.QMCSampler, "random": samplers.RandomSampler,
        }  # fmt: skip
        more = {"cmaes": {"warn_independent_sampling": False}, "gp": {"warn_independent_sampling": False},
                "qmc": {"warn_independent_sampling": False, "scramble": True}}  # fmt: skip
        made: BaseSampler = makers[name](seed=seed, **more.get(name, {}))
        return made


def learns_from_stopped(sampler: BaseSampler) -> bool:
    """Whether it makes use of trials that were stopped early, by how far they came; the others take only whole ones."""
    from optuna.samplers import TPESampler

    return isinstance(sampler, TPESampler)


def _need(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise UsageError(f"This sampler of Optuna's needs {' and '.join(missing)}: pip install {' '.join(missing)}")


def _experimental() -> type[Warning]:
    from optuna.exceptions import ExperimentalWarning

    return ExperimentalWarning
