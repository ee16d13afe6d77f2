"""Amounts of CPU, GPU, memory and custom resources: exact integers in ten-thousandths, so fractions add up.

Memory is counted in bytes (its unit is 1 byte x `UNIT`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from nbray.errors import UsageError

UNIT = 10_000
CPU = "CPU"
GPU = "GPU"
MEMORY = "memory"

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGTkmgt]?)(i?)[Bb]?")

Amounts = dict[str, int]
"""Resource name to amount in units of 1/10,000."""


def to_units(value: float, what: str) -> int:
    """An amount in units; negative, NaN or finer than 1/10,000 is an error that names `what`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0 or value == float("inf"):
        raise UsageError(f"{what}={value!r}: expected a number >= 0, for example {what}=1 or {what}=0.5")
    units = round(value * UNIT)
    if units == 0 and value > 0:
        raise UsageError(f"{what}={value!r} is too small: the finest amount is {1 / UNIT}")
    return units


def to_bytes(value: float | str, what: str) -> int:
    """A size in bytes, given as a number of bytes or as text with a unit; what is neither is an error naming `what`.

    >>> to_bytes("1.5 GB", "memory"), to_bytes("512MiB", "memory"), to_bytes(1e6, "memory")
    (1500000000, 536870912, 1000000)
    """
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            return int(float(match[1]) * (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " "))
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return int(value)
    raise UsageError(f"{what}={value!r}: expected a size, for example {what}=\"2GB\" or {what}=2_000_000_000 (bytes)")


def from_units(amounts: Mapping[str, int]) -> dict[str, float]:
    """The amounts as a user reads them: `{"CPU": 2.0}`."""
    return {name: units / UNIT for name, units in amounts.items()}


def request(
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory: float | None = None,
    resources: Mapping[str, float] | None = None,
    *,
    default_cpus: float = 1,
) -> Amounts:
    """The amounts that a task asks for; zero amounts are left out.

    >>> request(num_cpus=2, resources={"disk": 0.5})
    {'CPU': 20000, 'disk': 5000}
    """
    for reserved, option in ((CPU, "num_cpus"), (GPU, "num_gpus"), (MEMORY, "memory")):
        if resources and reserved in resources:
            raise UsageError(f"resources={dict(resources)!r}: {reserved!r} goes in {option}=, not in resources=")
    amounts = {
        CPU: to_units(default_cpus if num_cpus is None else num_cpus, "num_cpus"),
        GPU: to_units(num_gpus or 0, "num_gpus"),
        MEMORY: to_units(memory or 0, "memory"),
        **{name: to_units(value, f"resources[{name!r}]") for name, value in (resources or {}).items()},
    }
    return {name: units for name, units in amounts.items() if units}


def fits(needed: Mapping[str, int], available: Mapping[str, int]) -> bool:
    """Whether `available` covers `needed`."""
    return all(available.get(name, 0) >= units for name, units in needed.items())


def take(needed: Mapping[str, int], available: Amounts) -> None:
    """Subtract in place; may go below zero, where a task that was blocked comes back."""
    for name, units in needed.items():
        available[name] = available.get(name, 0) - units


def give(needed: Mapping[str, int], available: Amounts) -> None:
    """Add back in place what `take` took."""
    for name, units in needed.items():
        available[name] = available.get(name, 0) + units


def nearest_known(needed: Mapping[str, int], total: Mapping[str, int]) -> str:
    """A sentence about resources of which the cluster has none, with what may have been meant; empty where it has all.

    >>> nearest_known({"dsik": 1}, {"CPU": 20000, "disk": 10000})
    "There is no 'dsik' in the cluster: did you mean 'disk'? "
    """
    unknown = next((name for name in needed if name not in total), None)
    if unknown is None:
        return ""
    near = [] if unknown == GPU else difflib.get_close_matches(unknown, total, 1)  # who asks for one means no CPU
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(total)}."
    return f"There is no {unknown!r} in the cluster: {hint} "


def shortfall(needed: Mapping[str, int], total: Mapping[str, int]) -> str:
    """A sentence part that says which amounts can never be met, or an empty string.

    >>> shortfall({"CPU": 80000}, {"CPU": 20000})
    'CPU: 8 asked, 2 in the cluster'
    """
    return "; ".join(
        f"{name}: {units / UNIT:g} asked, {total.get(name, 0) / UNIT:g} in the cluster"
        for name, units in needed.items()
        if total.get(name, 0) < units
    )
