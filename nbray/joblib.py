"""The backend "nbray" of joblib: `Parallel`, and with it scikit-learn's `n_jobs`, on the cluster.

    with joblib.parallel_config("nbray"):
        search.fit(X, y)

    Parallel --- batches ---> NbrayBackend --- calls ---> Executor --- tasks ---> workers
                                   |
                             SharedArrays: each large array goes into the store once a call of Parallel

joblib asks for batches so large that sending one does not matter, keeps twice `n_jobs` of them on their way, and is told of
each end on the executor's thread. A batch is pickled here, not by the executor: so large arrays, wherever they hide in it,
become references, and arrives writable what joblib's own backends would deliver so.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

try:
    import joblib
    from joblib.parallel import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend
except ImportError as error:
    raise ImportError(f'nbray.joblib needs joblib 1.4 or later ({error}): pip install "nbray[joblib]"') from error

from nbray import session
from nbray.batches import SharedArrays, pack, run_batch, unpack
from nbray.errors import NotSupportedHere, UsageError
from nbray.executor import Executor, checked_options
from nbray.functions import name_of
from nbray.parallel_map import slots
from nbray.resources import CPU, UNIT

Callback = Callable[[Future[Any]], None]

DEEPEST = 1
"""A Parallel inside a batch may use the cluster too; inside of that one everything runs in place."""


def register() -> None:
    """Make the backend known to joblib; `import nbray` sees to it by itself, before or after joblib is imported.

    >>> import joblib, nbray.joblib
    >>> nbray.joblib.register()
    >>> with joblib.parallel_config("nbray"):
    ...     joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(n) for n in (-1, 2))
    [1, 2]
    """
    joblib.register_parallel_backend("nbray", NbrayBackend)


class NbrayBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """What joblib asks of a backend; one object for each `with` or `Parallel`."""

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    default_n_jobs = -1
    MIN_IDEAL_BATCH_DURATION = 0.05
    """Seconds; joblib's own backends need 0.2 to hide what a batch costs them."""
    MAX_IDEAL_BATCH_DURATION = 0.5

    def __init__(
        self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, **options: Any
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        checked_options(options)
        if nesting_level:
            self.default_n_jobs = 1  # inside a batch only who asks for more jobs gets them
        self._options = options
        self._n_jobs = 1
        self._read_only = math.inf
        self._executor: Executor | None = None
        self._arrays: SharedArrays | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many batches run at once; -1 means all that the cluster can, -2 one less."""
        if n_jobs == 0:
            raise UsageError("n_jobs=0: expected a number of jobs, or -1 for as many as the cluster can run")
        if n_jobs is None:
            n_jobs = self.default_n_jobs
        if n_jobs > 0:
            return n_jobs
        return max(1, slots(session.current_backend(), checked_options(self._options)) + 1 + n_jobs)

    def configure(
        self, n_jobs: int = 1, parallel: Any = None, max_nbytes: int | None = None, mmap_mode: str | None = "r", **_: Any
    ) -> int:
        """A Parallel begins; returns how many batches run at once.

        As with joblib's own backends, arrays of more than its `max_nbytes` are shared and cannot be written to.
        """
        if mmap_mode in ("r+", "w+"):
            raise NotSupportedHere(
                f'mmap_mode={mmap_mode!r}: what a batch writes into its arrays does not come back from the cluster. Return it, '
                'or let those batches run in threads of this process: joblib.parallel_config("threading")'
            )
        self._read_only = math.inf if max_nbytes is None or mmap_mode != "r" else max_nbytes
        n_jobs = self.effective_n_jobs(n_jobs)
        if n_jobs == 1 or self._is_nested_without_room():
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        self.parallel, self._n_jobs = parallel, n_jobs
        self._arrays = SharedArrays()
        return n_jobs

    def _is_nested_without_room(self) -> bool:
        """Inside a batch, while the others keep all CPUs busy, it is faster to go on in place."""
        return bool(self.nesting_level) and session.current_backend().snapshot().available.get(CPU, 0) < UNIT

    def submit(self, func: Any, callback: Callback | None = None) -> Future[Any]:
        """Send a batch; joblib's `callback` gets the future when it has ended.

        Nothing is raised here: joblib submits from its callbacks too, where nobody would hear of it.
        """
        try:
            future: Future[Any] = self._submit(func)
        except Exception as error:  # noqa: BLE001 - what cannot be sent is the outcome of the batch
            future = Future()
            future.set_exception(error)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def _submit(self, batch: Any) -> Future[Any]:
        assert self._arrays is not None
        if self._executor is None:
            name = name_of(batch.items[0][0]) if batch.items else "joblib"
            self._executor = Executor(self._n_jobs, **{"name": name, **self._options})
        blob, refs = pack(batch, self._arrays)
        return self._executor.submit(run_batch, self.inner_max_num_threads, self._read_only, blob, *refs)

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """The results of a batch that has ended."""
        try:
            return unpack(out.result())
        except CancelledError:
            raise RuntimeError("a batch of joblib was cancelled: Stop was pressed, or its Parallel had been given up") from None

    def start_call(self) -> None:
        """A call of Parallel begins: arrays may have changed since the last one."""
        self._arrays = SharedArrays()

    def stop_call(self) -> None:
        """It has ended: what it shared is not needed any more."""
        self._arrays = None

    def terminate(self) -> None:
        """The Parallel has ended."""
        executor, self._executor, self._arrays = self._executor, None, None
        if executor is not None:
            executor.shutdown(wait=False)
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """An exception or Stop: cancel what runs and what waits."""
        if self._executor is not None:
            self._executor.cancel_all()

    def get_nested_backend(self) -> tuple[ParallelBackendBase, int | None]:
        """What a Parallel inside a batch uses."""
        level = (self.nesting_level or 0) + 1
        if level > DEEPEST:
            return SequentialBackend(nesting_level=level), None
        return NbrayBackend(nesting_level=level, inner_max_num_threads=self.inner_max_num_threads, **self._options), None

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """While a Parallel inside a batch waits, the batch's CPU is free: all could wait for each other otherwise."""
        with session.current_backend().waiting():
            yield

    def __getstate__(self) -> dict[str, Any]:
        # It travels with each batch, as the backend of what is nested there.
        return {**self.__dict__, "_executor": None, "_arrays": None, "parallel": None}
