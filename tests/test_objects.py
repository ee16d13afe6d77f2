"""ObjectRef and its verbs, on a backend without processes."""

from __future__ import annotations

import asyncio
import copy
import gc
import operator
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas
import pytest

import nbray
from nbray import session
from nbray.wording import plain_html
from tests.fakes import FakeBackend, fake_session, fresh_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


@nbray.remote
def double(x: Any) -> Any:
    return 2 * x


@nbray.remote
def fail(text: str) -> None:
    raise KeyError(text)


# -------------------------------------------------------------------- references


def test_references_are_counted(backend: FakeBackend) -> None:
    ref = nbray.put([1])
    assert backend.counts == {ref.id: 1}
    twin = pickle.loads(pickle.dumps(ref))
    assert twin == ref
    assert hash(twin) == hash(ref)
    assert backend.counts == {ref.id: 2}
    del twin
    assert backend.counts == {ref.id: 1}
    del ref
    assert backend.counts == {}


def test_a_reference_inside_a_value_keeps_its_object_alive(backend: FakeBackend) -> None:
    inner = nbray.put("inner")
    outer = nbray.put({"inner": inner})
    del inner
    assert nbray.get(nbray.get(outer)["inner"]) == "inner"
    gc.collect()
    assert len(backend.counts) == 2
    del outer
    assert backend.counts == {}


def test_a_task_keeps_its_arguments_alive(backend: FakeBackend) -> None:
    result = double.remote(nbray.put(21))
    assert nbray.get(result) == 42
    del result
    assert backend.counts == {}


def test_refs_of_different_clusters_differ() -> None:
    one = nbray.put(1)
    with fake_session():
        other = nbray.put(1)
        assert one.id == other.id
        assert one != other
        assert one != 1


def test_a_ref_of_another_cluster_is_refused() -> None:
    old = nbray.put(1)
    with fake_session() as new:
        for use in (nbray.get, pickle.dumps, nbray.cancel, nbray.wait, lambda ref: double.remote([ref])):
            with pytest.raises(nbray.WrongCluster) as error:
                use([old])
            assert f"belongs to cluster {old.epoch}, which has died or was shut down" in str(error.value)
            assert f"(cluster {new.epoch} runs now)" in str(error.value)
            assert "run the cell that made it again" in str(error.value)
        assert repr(old) == "ObjectRef(gone with its cluster)"


def test_a_ref_does_not_start_a_cluster_to_be_refused() -> None:
    old = nbray.put(1)
    with fresh_session():
        with pytest.raises(nbray.WrongCluster, match="no cluster runs now"):
            nbray.get(old)
        assert not nbray.is_initialized()


def test_refs_end_silently_without_a_cluster(recwarn: pytest.WarningsRecorder) -> None:
    with fake_session() as other:
        ref = nbray.put(1)
        other.die()
        session.current.end(stop=True)
        del ref


def test_repr_tells_what_is_known(backend: FakeBackend) -> None:
    ref = double.remote(1)
    assert repr(ref) == "ObjectRef(double, pending)"
    nbray.get(ref)
    assert repr(ref) == "ObjectRef(double, ready, 5 B)"
    assert repr(nbray.put(b"x" * 1_000_000)) == "ObjectRef(ready, 1 MB)"
    failed = fail.remote("x")
    nbray.wait([failed])
    assert repr(failed) == "ObjectRef(fail, failed)"
    assert ref.hex() == f"{ref.id:016x}"


def test_html_shows_what_is_here_and_fetches_nothing(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nbray.put("<script>")._repr_html_().endswith("<pre>&#x27;&lt;script&gt;&#x27;</pre></div>")
    failed = fail.remote("<why>")
    nbray.wait([failed])
    assert failed._repr_html_() == plain_html("<b>fail</b> · failed<pre>RemoteError(KeyError): &#x27;&lt;why&gt;&#x27;</pre>")
    large, pending = nbray.put(bytes(100_000)), double.remote(1)
    monkeypatch.setattr(backend, "get", lambda *_: pytest.fail("a display fetched"))
    assert large._repr_html_() == plain_html("<b>object</b> · ready · 100 kB")
    assert pending._repr_html_() == plain_html("<b>double</b> · pending")


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError("not now")


def test_html_survives_a_value_that_cannot_be_shown() -> None:
    assert "Shy" in nbray.put([Shy()])._repr_html_()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda ref: ref + 1, lambda ref: 1 + ref, lambda ref: ref[0], lambda ref: list(ref), lambda ref: ref(1), float,
        lambda ref: sorted([ref, ref]), lambda ref: -ref, lambda ref: 3 in ref, lambda ref: operator.matmul(ref, ref), round,
        lambda ref: ref > 1,
    ],
)  # fmt: skip
def test_using_a_ref_as_its_value_says_get(misuse: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"as if it were its value.*write nbray.get\(ref\)"):
        misuse(nbray.put([1, 2]))


def test_an_attribute_of_the_value_says_get() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'shape'. Its value may have one: nbray.get\(ref\).shape"):
        nbray.put(1).shape  # noqa: B018
    assert not hasattr(nbray.put(1), "_ipython_display_")


def test_refs_go_into_sets_dicts_arrays_and_frames() -> None:
    ref = nbray.put(1)
    assert {ref, ref} == {ref}
    assert np.array([ref, ref], dtype=object).shape == (2,)
    assert bool(ref)
    assert copy.deepcopy(ref) == ref
    assert pandas.DataFrame({"ref": [ref, ref]})["ref"].tolist() == [ref, ref]


# -------------------------------------------------------------------- get


def test_get_keeps_shape_and_order() -> None:
    one, two = double.remote(1), double.remote(2)
    assert nbray.get(two) == 4
    assert nbray.get([two, one, two]) == [4, 2, 4]
    assert nbray.get((one, [two, (one,)])) == (2, [4, (2,)])
    assert nbray.get({"a": one, "b": [two]}) == {"a": 2, "b": [4]}
    assert nbray.get([]) == []


def test_get_raises_the_first_failure_without_waiting_for_the_rest(backend: FakeBackend) -> None:
    refs = [double.remote(1), fail.remote("oh"), double.remote(2)]
    with pytest.raises(KeyError, match="oh"):
        nbray.get(refs)
    assert backend.state(refs[2].id) == "pending"


def test_get_with_a_timeout_names_what_is_missing(backend: FakeBackend) -> None:
    ready = nbray.put(0)
    backend.frozen = True
    refs = [ready, double.remote(1), fail.remote("x"), double.remote(2)]
    with pytest.raises(nbray.GetTimeoutError) as error:
        nbray.get(refs, timeout=5)
    assert str(error.value) == (
        "get: after 5 s, 3 of 4 values are not there: 2 x double, fail. Their tasks go on: get them again later, or end them "
        "by nbray.cancel(refs)."
    )
    assert isinstance(error.value, TimeoutError)


def test_get_with_timeout_0_only_looks() -> None:
    ref = double.remote(1)
    with pytest.raises(nbray.GetTimeoutError, match="after 0 s, 1 of 1 values are not there: double"):
        nbray.get(ref, timeout=0)
    nbray.wait([ref])
    assert nbray.get(ref, timeout=0) == 2


def test_a_timeout_error_of_the_task_itself_is_not_mistaken() -> None:
    @nbray.remote
    def slow() -> None:
        raise nbray.GetTimeoutError("inside")

    with pytest.raises(nbray.GetTimeoutError, match="inside"):
        nbray.get(slow.remote())


def test_arrays_are_read_only_unless_copied() -> None:
    ref = nbray.put(np.zeros(3))
    with pytest.raises(ValueError, match="read-only"):
        nbray.get(ref)[0] = 1
    mine = nbray.get(ref, copy=True)
    mine[0] = 1
    assert nbray.get(ref)[0] == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, r"takes an ObjectRef or a list of them, not 5 \(int\): what is a value already needs no nbray.get"),
        ([[b"x"]], r"what is a value already"),
        ("text", r"not 'text' \(str\)"),
        (double, r"not RemoteFunction\(double\) \(RemoteFunction\): call it first: nbray.get\(f.remote\(...\)\)"),
        ({1, 2}, r"\(set\): make it a list: nbray.get\(list\(refs\)\)"),
        (iter([]), r"\(list_iterator\): make it a list"),
    ],
)
def test_get_of_what_is_no_ref(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        nbray.get(value)


@pytest.mark.parametrize("timeout", [-1, "1", True, float("nan")])
def test_bad_timeouts(timeout: Any) -> None:
    for verb in (nbray.get, nbray.wait, nbray.as_completed):
        with pytest.raises(nbray.UsageError, match="expected seconds >= 0, for example timeout=5"):
            verb([nbray.put(1)], timeout=timeout)


def test_putting_a_ref_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"it is stored already, pass it on as it is \(to store the ref itself, put \[ref\]\)"):
        nbray.put(nbray.put(1))


# -------------------------------------------------------------------- cancel


def test_cancel_reports_and_get_then_raises() -> None:
    refs = [double.remote(1), double.remote(2)]
    nbray.get(refs[0])
    assert nbray.cancel(refs) == (1, 1, 0)
    with pytest.raises(nbray.TaskCancelledError, match="double was cancelled"):
        nbray.get(refs[1])
    assert nbray.cancel(refs[1]).finished == 1
    assert nbray.cancel([]) == (0, 0, 0)
    with pytest.raises(TypeError, match=r"nbray.cancel\(\) takes an ObjectRef"):
        nbray.cancel("train")  # type: ignore[arg-type]


# -------------------------------------------------------------------- asyncio and futures


def test_await_and_gather() -> None:
    async def main() -> list[Any]:
        return [await double.remote(1), *await asyncio.gather(double.remote(2), double.remote(3))]

    assert asyncio.run(main()) == [2, 4, 6]


def test_await_raises_the_failure() -> None:
    async def main() -> None:
        with pytest.raises(KeyError):
            await fail.remote("x")

    asyncio.run(main())


def test_await_lets_other_coroutines_run(backend: FakeBackend) -> None:
    async def thaw() -> None:
        backend.frozen = False
        backend.wait([ref.id], 1)

    async def main() -> Any:
        value, _ = await asyncio.gather(ref, thaw())
        return value

    backend.frozen = True
    ref = double.remote(4)
    assert asyncio.run(main()) == 8


def test_future() -> None:
    future = double.remote(4).future()
    assert future.result(timeout=5) == 8
    with pytest.raises(KeyError):
        fail.remote("x").future().result(timeout=5)


def test_a_cancelled_future_gets_no_value(backend: FakeBackend) -> None:
    backend.frozen = True
    ref = double.remote(4)
    future = ref.future()
    assert future.cancel()
    backend.frozen = False
    assert nbray.get(ref) == 8
    assert future.cancelled()
