"""nbray, as its users call it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tests.benchmarks.systems import WORKERS, System


class Nbray(System):
    """A local cluster with two workers."""

    module = "nbray"

    def start(self) -> None:
        import nbray

        nbray.init(num_workers=WORKERS)
        self._nbray = nbray
        self._remote: dict[Callable[..., Any], Any] = {}

    def stop(self) -> None:
        self._nbray.shutdown()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        remote = self._remote.get(function)
        if remote is None:
            remote = self._remote[function] = self._nbray.remote(function)
        return remote.remote(*args)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        results: list[Any] = self._nbray.get(list(handles))
        return results

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        results: Iterable[Any] = self._nbray.map(function, items)
        return results

    def put(self, value: Any) -> Any:
        return self._nbray.put(value)

    def get(self, stored: Any) -> Any:
        return self._nbray.get(stored)

    def takes_handles(self) -> None:
        return

    def stored_bytes(self) -> int:
        from nbray.session import current_backend

        return current_backend().snapshot().store.used

    def printing_cells(self, loop: str) -> tuple[str, str]:
        return f"%load_ext nbray\nimport nbray\nnbray.init(num_workers={WORKERS})", f"%%remote\n{loop}"
