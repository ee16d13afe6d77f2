"""How much goes into one Run message: tasks with the small values of their dependencies, below the largest frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nbray.ids import ObjectId
from nbray.scheduler.messages import MAX_FRAME, Failure, Inline, RunSpec, Value
from nbray.scheduler.tasks import Task

RUN_BYTES = 64 * 1024 * 1024
"""Arguments in one Run message, beside inline ones: far below the largest frame."""
MOST_ARGUMENT_BYTES = MAX_FRAME - RUN_BYTES
"""Small objects that one task may depend on, in bytes."""


def size_of(values: Iterable[tuple[ObjectId, Value]]) -> int:
    """The bytes of small values among these; the others travel as references to the store."""
    sizes = (len(value) if type(value) is bytes else len(value.data) if type(value) is Inline else 0 for _, value in values)
    return sum(sizes)


def portions(specs: list[RunSpec]) -> Iterator[list[RunSpec]]:
    """The tasks in as many messages as the largest frame asks for."""
    portion: list[RunSpec] = []
    size = 0
    for spec in specs:
        if spec.deps:
            size += size_of(spec.deps)
            if size > RUN_BYTES and portion:
                yield portion
                portion, size = [], size_of(spec.deps)
        portion.append(spec)
    if portion:
        yield portion


def too_much(task: Task, size: int) -> Failure:
    """The failure of a task with more small arguments than can be sent with one."""
    return Failure(
        "refused",
        f"The arguments of {task.template.name} are {len(task.spec.deps):,} small objects of {size / 2**20:,.0f} MiB in all, and "
        f"at most {MOST_ARGUMENT_BYTES // 2**20} MiB can be sent with one task. Combine them in several steps, some at a time.",
        task=task.template.name,
    )
