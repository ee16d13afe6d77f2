"""Placement groups: bundles of resources set aside all at once, and tasks and actors that run in them; with Ray's names."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from nbray import objects, session, waiting
from nbray import resources as amounts
from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.ids import ObjectId
from nbray.objects import ObjectRef
from nbray.resources import Amounts

STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


class PlacementGroup:
    """A handle to resources that are set aside. They are given back by `remove_placement_group`, or by themselves when no
    handle is left and nothing runs in them; `lifetime="detached"` keeps them until they are removed.
    """

    __slots__ = ("_ref", "bundle_specs", "name", "strategy")

    def __init__(self, ref: ObjectRef, bundles: Sequence[Mapping[str, float]], strategy: str, name: str) -> None:
        self._ref = ref
        self.bundle_specs = [dict(bundle) for bundle in bundles]
        self.strategy = strategy
        self.name = name

    @property
    def id(self) -> ObjectId:
        """The number by which the cluster knows it."""
        return self._ref.id

    @property
    def epoch(self) -> str:
        """The cluster that it belongs to."""
        return self._ref.epoch

    @property
    def bundle_count(self) -> int:
        """How many bundles it has."""
        return len(self.bundle_specs)

    def ready(self) -> ObjectRef:
        """An ObjectRef that is there once all bundles are set aside; its value is this placement group."""
        return self._ref

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Wait until all bundles are set aside; False when that has not happened in time."""
        done, _ = waiting.wait([self._ref], timeout=timeout_seconds)
        return bool(done) and objects.get(self._ref) is not None

    def __eq__(self, other: object) -> bool:
        return self._ref == other._ref if isinstance(other, PlacementGroup) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._ref)

    def __repr__(self) -> str:
        named = f"{self.name!r}, " if self.name else ""
        return f"PlacementGroup({named}{self.bundle_specs}, {self.strategy})"

    def __reduce__(self) -> tuple[Any, ...]:
        return PlacementGroup, (self._ref, self.bundle_specs, self.strategy, self.name)


class PlacementGroupSchedulingStrategy:
    """The option `scheduling_strategy=` of a task or an actor that draws its resources from a placement group.

    Without an index any of its bundles will do. What the task itself submits runs outside, unless it says otherwise.
    """

    __slots__ = ("placement_group", "placement_group_bundle_index")

    def __init__(
        self, placement_group: PlacementGroup, placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(placement_group, PlacementGroup):
            raise WrongType(
                f"placement_group={placement_group!r}: expected what nbray.util.placement_group([...]) returns, as it is"
            )
        if placement_group_capture_child_tasks:
            raise NotSupportedHere(
                "placement_group_capture_child_tasks=True: children do not follow by themselves; pass the placement group to the "
                "task as an argument and give the children the same scheduling_strategy="
            )
        index, last = placement_group_bundle_index, placement_group.bundle_count - 1
        if not isinstance(index, int) or isinstance(index, bool) or not -1 <= index <= last:
            raise UsageError(
                f"placement_group_bundle_index={index!r}: expected 0 to {last}, or -1 for any bundle of {placement_group!r}"
            )
        self.placement_group = placement_group
        self.placement_group_bundle_index = index

    def __repr__(self) -> str:
        return f"PlacementGroupSchedulingStrategy({self.placement_group!r}, {self.placement_group_bundle_index})"


def placement_group(
    bundles: Sequence[Mapping[str, float]], strategy: str = "PACK", name: str = "", lifetime: str | None = None
) -> PlacementGroup:
    """Set aside several bundles of resources, all or none: `[{"CPU": 1, "GPU": 1}, {"CPU": 2}]`, memory in bytes.

    Returns at once; `.wait()` or `nbray.get(group.ready())` wait until they are there. On one machine "PACK", "SPREAD" and
    "STRICT_PACK" are the same, and "STRICT_SPREAD" works for one bundle only. Raises InfeasibleRequest where the cluster can
    never have so much.

    >>> import nbray
    >>> group = nbray.util.placement_group([{"CPU": 1}])
    >>> group.wait(10)
    True
    >>> nbray.util.remove_placement_group(group)
    """
    asked = [_bundle(bundle) for bundle in _listed(bundles)]
    if strategy not in STRATEGIES:
        raise UsageError(f"strategy={strategy!r}: expected one of {', '.join(STRATEGIES)}")
    if not isinstance(name, str):
        raise WrongType(f'name={name!r}: expected text, for example name="trainers"')
    if lifetime not in (None, "detached"):
        raise UsageError(f'lifetime={lifetime!r}: expected "detached", or leave it out')
    backend = session.current_backend()
    specs = [dict(bundle) for bundle in bundles]

    def value(gang: ObjectId) -> bytes:
        return pickle.dumps(_Borrowed(gang, backend.epoch, specs, strategy, name), protocol=5)

    gang = backend.create_gang(asked, strategy, name, lifetime == "detached", value)
    return PlacementGroup(ObjectRef(gang, backend.epoch, "placement group"), specs, strategy, name)


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Give its resources back; what is queued in it fails with PlacementGroupRemoved, and what runs in it is killed."""
    if not isinstance(placement_group, PlacementGroup):
        raise WrongType(f"remove_placement_group({placement_group!r}): expected what nbray.util.placement_group([...]) returned")
    objects.backend_of(placement_group.ready()).remove_gang(placement_group.id)


def get_placement_group(name: str) -> PlacementGroup:
    """The placement group of this name. Raises UsageError where there is none."""
    found = session.current_backend().find_gang(name) if name else b""
    if not found:
        names = [str(each["name"]) for each in session.current_backend().gangs() if each["name"]]
        raise UsageError(f"no placement group is named {name!r}: there are {', '.join(map(repr, names)) or 'none with a name'}")
    group: PlacementGroup = pickle.loads(found)
    return group


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """What the cluster knows of a placement group, or of all by their ids: name, strategy, state, bundles, what is free."""
    rows = {f"{row['placement_group_id']:016x}": row for row in session.current_backend().gangs()}
    if placement_group is None:
        return rows
    return rows.get(placement_group.ready().hex(), {"state": "REMOVED"})


class _Borrowed:
    """Turns into a handle where it is unpickled; the object that holds it does not keep itself alive thereby."""

    def __init__(self, *fields: Any) -> None:
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        return _borrow, self.fields


def _borrow(
    gang: ObjectId, epoch: str, bundles: Sequence[Mapping[str, float]], strategy: str, name: str
) -> PlacementGroup:  # fmt: skip
    session.current_backend().hold(gang)
    return PlacementGroup(ObjectRef(gang, epoch, "placement group"), bundles, strategy, name)


def _listed(bundles: Any) -> Sequence[Mapping[str, float]]:
    if isinstance(bundles, (str, Mapping)) or not isinstance(bundles, Sequence) or not bundles:
        raise UsageError(f'bundles={bundles!r}: expected a list of at least one dict, for example [{{"CPU": 1}}, {{"CPU": 1}}]')
    return bundles


def _bundle(bundle: Any) -> Amounts:
    if not isinstance(bundle, Mapping):
        raise WrongType(f'bundle {bundle!r}: expected a dict of resource to amount, for example {{"CPU": 1, "GPU": 1}}')
    known = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
    given = {known[name]: value for name, value in bundle.items() if name in known}
    rest = {name: value for name, value in bundle.items() if name not in known}
    asked = amounts.request(**given, resources=rest, default_cpus=0)
    if not asked:
        raise UsageError(f'bundle {dict(bundle)!r} asks for nothing: expected an amount above 0, for example {{"CPU": 1}}')
    return asked
