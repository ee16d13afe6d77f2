"""The bundles of a gang as amounts: what they add up to, and whether a cluster can ever have so much.

Apart from the gangs themselves, since the driver asks the same before it sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nbray.resources import GPU, UNIT, Amounts, give, shortfall
from nbray.scheduler.pool import choose_devices


def impossible(bundles: list[Amounts], strategy: str, total: Mapping[str, int]) -> str:
    """Why these bundles can never be set aside, or an empty string.

    >>> impossible([{"CPU": 20000}, {"CPU": 20000}], "PACK", {"CPU": 20000})[:58]
    'the bundles ask for more than the whole cluster has (CPU: '
    """
    if strategy == "STRICT_SPREAD" and len(bundles) > 1:
        return (
            f"STRICT_SPREAD wants its {len(bundles)} bundles on as many machines, and this cluster is one: "
            'use strategy="PACK" or "SPREAD"'
        )
    broken = next((each[GPU] for each in bundles if each.get(GPU, 0) > UNIT and each[GPU] % UNIT), 0)
    if broken:
        return f"a bundle asks for {broken / UNIT:g} GPUs: more than one come only in whole numbers"
    missing = shortfall(sum_of(bundles), total)
    if missing:
        return (
            f"the bundles ask for more than the whole cluster has ({missing}), so they could never be set aside. "
            "Ask for less, or start a cluster that has more."
        )
    return _too_scattered([each.get(GPU, 0) for each in bundles], total.get(GPU, 0) // UNIT)


def _too_scattered(parts: list[int], gpus: int) -> str:
    """A fraction of a GPU is of one GPU: three times 0.6 are more than two GPUs have."""
    free = [UNIT] * gpus
    for units in sorted(parts, reverse=True):
        found = choose_devices(free, units)
        if found is None:
            asked = ", ".join(f"{part / UNIT:g}" for part in parts if part)
            return f"the bundles' GPUs ({asked}) cannot be cut out of {gpus}: a fraction is a part of one GPU"
        for index in found:
            free[index] -= min(UNIT, units)
    return ""


def sum_of(bundles: Iterable[Amounts]) -> Amounts:
    """All of them together.

    >>> sum_of([{"CPU": 1}, {"CPU": 2, "disk": 1}])
    {'CPU': 3, 'disk': 1}
    """
    needed: Amounts = {}
    for amounts in bundles:
        give(amounts, needed)
    return needed
