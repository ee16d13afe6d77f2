"""The peers, each through its public API, started as its own manual says for two local workers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.benchmarks.systems import WORKERS, RaysNames, System, TrialFunction, Unsupported

CHUNKS = 8
"""A map over n items goes in chunks of n/8: four for each worker."""


def _in_function(loop: str) -> str:
    return "def printing():\n" + "".join(f"    {line}\n" for line in loop.splitlines())


class Ray(RaysNames):
    """Ray without its dashboard."""

    module = "ray"
    actors = 10
    queued_items = 50_000
    trials = 100
    searches = 1

    def start(self) -> None:
        import ray

        ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="error", log_to_driver=False)
        self.use(ray)

    def stop(self) -> None:
        self.api.shutdown()

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        from ray.util.multiprocessing import Pool

        if not hasattr(self, "_pool"):
            self._pool = Pool(WORKERS)
        results: list[Any] = self._pool.map(function, items, chunksize=len(items) // CHUNKS)
        return results

    def cancel(self, handles: Sequence[Any]) -> None:
        for handle in handles:
            self.api.cancel(handle)
        self.api.wait(list(handles), num_returns=len(handles))

    def joblib_backend(self) -> contextlib.AbstractContextManager[Any]:
        import joblib
        from ray.util.joblib import register_ray

        register_ray()
        context: contextlib.AbstractContextManager[Any] = joblib.parallel_backend("ray", n_jobs=WORKERS)
        return context

    def printing_cells(self, loop: str) -> tuple[str, str]:
        first = f"import ray\nray.init(num_cpus={WORKERS}, include_dashboard=False, logging_level='error')"
        return first, f"{_in_function(loop)}ray.get(ray.remote(printing).remote())\nimport time; time.sleep(1)"


class Dask(System):
    """Dask's LocalCluster with processes."""

    module = "distributed"
    one_by_one = 2_000
    map_items = 2_000
    queued_items = 10_000

    def start(self) -> None:
        from distributed import Client, LocalCluster

        self._cluster = LocalCluster(n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None)
        self._client = Client(self._cluster)

    def stop(self) -> None:
        self._client.close()
        self._cluster.close()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._client.submit(function, *args, pure=False)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        results: list[Any] = self._client.gather(list(handles))
        return results

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        return self.gather(self._client.map(function, items, pure=False))

    def put(self, value: Any) -> Any:
        return self._client.scatter(value, hash=False)

    def get(self, stored: Any) -> Any:
        return stored.result()

    def takes_handles(self) -> None:
        return

    def actor(self, cls: type, concurrency: int = 1) -> Any:
        if concurrency > 1:
            raise Unsupported("a thousand calls that wait for each other never end")
        return self._client.submit(cls, actor=True, pure=False).result()

    def call(self, actor: Any, method: str, *args: Any) -> Any:
        return getattr(actor, method)(*args)

    def answers(self, handles: Sequence[Any]) -> list[Any]:
        return [handle.result() for handle in handles]

    def one_at_a_time(self, handles: Sequence[Any]) -> None:
        from distributed import as_completed

        for _ in as_completed(handles):
            pass

    def cancel(self, handles: Sequence[Any]) -> None:
        self._client.cancel(list(handles), force=True)

    def joblib_backend(self) -> contextlib.AbstractContextManager[Any]:
        import joblib

        context: contextlib.AbstractContextManager[Any] = joblib.parallel_backend("dask")
        return context


class Ipyparallel(System):
    """ipyparallel with a load-balanced view; a stored value is pushed to every engine."""

    module = "ipyparallel"
    one_by_one = 1_000
    parts = frozenset({"core", "cells"})

    def start(self) -> None:
        import ipyparallel

        self._library = ipyparallel
        self._cluster = ipyparallel.Cluster(n=WORKERS, log_level=40)
        self._client = self._cluster.start_and_connect_sync()
        self._view = self._client.load_balanced_view()

    def stop(self) -> None:
        self._client.close()
        self._cluster.stop_cluster_sync()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._view.apply_async(function, *args)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        return [handle.get() for handle in handles]

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        results: Iterable[Any] = self._view.map_sync(function, items, chunksize=len(items) // CHUNKS)
        return results

    def put(self, value: Any) -> Any:
        self._client[:].push({"stored": value}, block=True)
        return self._library.Reference("stored")

    def get(self, stored: Any) -> Any:
        return self._client[0].pull(stored.name, block=True)

    def joblib_backend(self) -> contextlib.AbstractContextManager[Any]:
        import joblib

        self._view.register_joblib_backend()
        context: contextlib.AbstractContextManager[Any] = joblib.parallel_backend("ipyparallel", n_jobs=WORKERS)
        return context

    def cell_magic(self) -> tuple[str, str]:
        start = f"clients = ipyparallel.Cluster(n={WORKERS}, log_level=40).start_and_connect_sync()"
        return f"import ipyparallel\n{start}", "%%px --targets 0"

    def printing_cells(self, loop: str) -> tuple[str, str]:
        first, magic = self.cell_magic()
        return first, f"{magic}\n{loop}"


class Executor(System):
    """`concurrent.futures.ProcessPoolExecutor`, as Python ships it."""

    module = "concurrent.futures"
    plain_pickle = True

    def _make(self) -> Any:
        from concurrent.futures import ProcessPoolExecutor

        return ProcessPoolExecutor(WORKERS)

    def start(self) -> None:
        self._executor = self._make()

    def stop(self) -> None:
        self._executor.shutdown()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        if self.plain_pickle and getattr(function, "__closure__", None) is not None:
            raise Unsupported("plain pickle takes no closure")
        return self._executor.submit(function, *args)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        return [handle.result() for handle in handles]

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        results: Iterable[Any] = self._executor.map(function, items, chunksize=len(items) // CHUNKS)
        return results

    def one_at_a_time(self, handles: Sequence[Any]) -> None:
        from concurrent.futures import as_completed

        for _ in as_completed(handles):
            pass

    def cancel(self, handles: Sequence[Any]) -> None:
        for handle in handles:
            handle.cancel()  # refused for the one or two that a worker is about to take


class Loky(Executor):
    """loky's reusable executor, which joblib uses."""

    module = "loky"
    plain_pickle = False

    def _make(self) -> Any:
        from loky import get_reusable_executor

        return get_reusable_executor(max_workers=WORKERS)

    def stop(self) -> None:
        self._executor.shutdown(wait=True, kill_workers=True)

    def joblib_backend(self) -> contextlib.AbstractContextManager[Any]:
        import joblib

        context: contextlib.AbstractContextManager[Any] = joblib.parallel_backend("loky", n_jobs=WORKERS)
        return context


class Optuna(System):
    """Optuna's study with `n_jobs`: its trials are calls in threads of this process, so there is nothing to start."""

    module = "optuna"
    parts = frozenset({"tune"})

    def start(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)

    def stop(self) -> None:
        return

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        raise Unsupported

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        raise Unsupported

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        raise Unsupported

    def tune(self, function: TrialFunction, samples: int, warm: bool) -> list[Mapping[str, Any]]:
        import optuna

        if not warm:
            raise Unsupported
        results: list[Mapping[str, Any]] = []

        def objective(trial: Any) -> float:
            steps = itertools.count()

            def report(metrics: dict[str, Any]) -> bool:
                trial.report(metrics["score"], next(steps))
                return bool(trial.should_prune())

            result = function({"x": trial.suggest_float("x", 0, 1)}, report)
            results.append(result)
            return result["score"]

        sampler, pruner = optuna.samplers.RandomSampler(seed=0), optuna.pruners.NopPruner()
        study = optuna.create_study(sampler=sampler, pruner=pruner, direction="maximize")
        study.optimize(objective, n_trials=samples, n_jobs=WORKERS)
        return results
