"""Ray's questions about a cluster's state, by Ray's signatures: `from nbray.util.state import list_tasks`.

nbray's own, with keywords as filters, are in the package itself: `nbray.list_tasks(state="RUNNING")`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from nbray import introspection
from nbray.errors import UsageError
from nbray.tables import Filter, Row, Rows

__all__ = [
    "get_actor", "get_node", "get_objects", "get_task", "get_worker", "list_actors", "list_nodes", "list_objects", "list_tasks",
    "list_workers", "summarize_actors", "summarize_objects", "summarize_tasks",
]  # fmt: skip

RAY_LIMIT = 100
_NODE_COLUMNS = ("node_id", "node_ip", "is_head_node", "state", "node_name", "resources_total")

List = Callable[..., Rows]


def list_tasks(
    address: str | None = None, filters: Iterable[Filter] | None = None, limit: int = RAY_LIMIT, timeout: int = 30,
    detail: bool = False, raise_on_missing_output: bool = True,
) -> Rows:  # fmt: skip
    """`nbray.list_tasks` by Ray's signature; the cluster is the one in use, and every column is always there."""
    return introspection.list_tasks(filters, limit=_here(address, limit))


def list_actors(
    address: str | None = None, filters: Iterable[Filter] | None = None, limit: int = RAY_LIMIT, timeout: int = 30,
    detail: bool = False, raise_on_missing_output: bool = True,
) -> Rows:  # fmt: skip
    """`nbray.list_actors` by Ray's signature."""
    return introspection.list_actors(filters, limit=_here(address, limit))


def list_objects(
    address: str | None = None, filters: Iterable[Filter] | None = None, limit: int = RAY_LIMIT, timeout: int = 30,
    detail: bool = False, raise_on_missing_output: bool = True,
) -> Rows:  # fmt: skip
    """`nbray.list_objects` by Ray's signature."""
    return introspection.list_objects(filters, limit=_here(address, limit))


def list_workers(
    address: str | None = None, filters: Iterable[Filter] | None = None, limit: int = RAY_LIMIT, timeout: int = 30,
    detail: bool = False, raise_on_missing_output: bool = True,
) -> Rows:  # fmt: skip
    """`nbray.list_workers` by Ray's signature."""
    return introspection.list_workers(filters, limit=_here(address, limit))


def list_nodes(
    address: str | None = None, filters: Iterable[Filter] | None = None, limit: int = RAY_LIMIT, timeout: int = 30,
    detail: bool = False, raise_on_missing_output: bool = True,
) -> Rows:  # fmt: skip
    """The machines of the cluster, which is always one."""
    _here(address, limit)
    rows = [(each["NodeID"], "127.0.0.1", True, "ALIVE", each["NodeName"], each["Resources"]) for each in introspection.nodes()]
    return Rows(_NODE_COLUMNS, rows).where(filters)


def get_task(id: str, address: str | None = None, timeout: int = 30) -> Row | None:
    """The last attempt of a task, by the id that `list_tasks` shows; None where it is not remembered."""
    return _first(list_tasks, "task_id", id, address)


def get_actor(id: str, address: str | None = None, timeout: int = 30) -> Row | None:
    """An actor's row, by its id; its handle is what `nbray.get_actor` finds by its name."""
    return _first(list_actors, "actor_id", id, address)


def get_objects(id: str, address: str | None = None, timeout: int = 30) -> Rows:
    """The rows of an object: one, or none."""
    return list_objects(address, [("object_id", "=", id)])


def get_worker(id: str, address: str | None = None, timeout: int = 30) -> Row | None:
    """A worker's row, by the id that `list_workers` shows."""
    return _first(list_workers, "worker_id", id, address)


def get_node(id: str, address: str | None = None, timeout: int = 30) -> Row | None:
    """A machine's row."""
    return _first(list_nodes, "node_id", id, address)


def summarize_tasks(address: str | None = None, timeout: int = 30) -> dict[str, dict[str, int]]:
    """How many tasks of each name are in each state."""
    return _summary(introspection.list_tasks(limit=_here(address, introspection.MOST_ROWS)), "name")


def summarize_actors(address: str | None = None, timeout: int = 30) -> dict[str, dict[str, int]]:
    """How many actors of each class are in each state."""
    return _summary(introspection.list_actors(limit=_here(address, introspection.MOST_ROWS)), "class_name")


def summarize_objects(address: str | None = None, timeout: int = 30) -> dict[str, dict[str, int]]:
    """How many objects of each cell are in each state."""
    return _summary(introspection.list_objects(limit=_here(address, introspection.MOST_ROWS)), "cell")


def _here(address: str | None, limit: int) -> int:
    if address not in (None, "auto"):
        raise UsageError(f"address={address!r}: the state is that of the cluster in use; leave it out")
    return limit


def _first(ask: List, column: str, value: str, address: str | None) -> Row | None:
    return next(iter(ask(address, [(column, "=", value)])), None)


def _summary(rows: Rows, column: str) -> dict[str, dict[str, int]]:
    names = dict.fromkeys(row[column] for row in rows)
    return {name: dict(Counter(row.state for row in rows if row[column] == name)) for name in names}
