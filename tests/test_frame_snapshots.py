"""What is kept of a failure's frames: places, variables, within bounds, whatever the variables are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from nbray import frame_snapshots
from nbray.frame_snapshots import (
    About,
    Frame,
    Header,
    LeftOut,
    Pickled,
    Snapshot,
    headers,
    keep,
    keep_where,
    load,
    read,
    sweep,
    take,
    write,
)
from nbray.sealed import Broken

ABOUT = About(7, 1, "train", "worker 0 (pid 1)")
LIMIT = 3


class Refuses:
    def __reduce__(self) -> Any:
        raise RuntimeError("no copies of me")

    def __repr__(self) -> str:
        raise KeyError("nor pictures")


def raised(function: Callable[..., Any], *args: Any) -> BaseException:
    """What a call raises, with its traceback."""
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001 - it is what the test wants
        return error
    raise AssertionError("nothing was raised")


def fail(value: Any) -> None:
    doubled = [value, value]
    raise ValueError(f"over {LIMIT}: {len(doubled)}")


def pass_on(depth: int) -> None:
    if depth == 0:
        raise KeyError("deep")
    pass_on(depth - 1)


def variables(snapshot: Snapshot, frame: Frame) -> dict[str, Any]:
    """The locals of a frame, as they come back."""
    assert frame.names is not None
    return {name: load(snapshot.variables[at]) for name, at in frame.names.items()}


def kept(value: Any) -> Any:
    """What comes back of a variable."""
    snapshot = take(raised(fail, value))
    return variables(snapshot, snapshot.frames[-1])["value"]


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    keep_where(lambda: (tmp_path / "failures", ABOUT))
    yield tmp_path / "failures"
    keep_where(lambda: None)


def test_a_frame_has_its_place_and_its_variables() -> None:
    snapshot = take(raised(fail, "x"))
    frame = snapshot.frames[-1]
    assert (frame.function, Path(frame.file).name) == ("fail", Path(__file__).name)
    assert frame.line == fail.__code__.co_firstlineno + 2
    assert variables(snapshot, frame) == {"value": "x", "doubled": ["x", "x"]}
    assert load(snapshot.variables[snapshot.spaces[frame.space].names["LIMIT"]]) == LIMIT


def test_only_globals_that_the_code_uses_and_modules_are_kept() -> None:
    names = take(raised(fail, 1)).spaces[0].names
    assert "numpy" in names
    assert "variables" not in names


def test_what_frames_share_is_kept_once() -> None:
    shared = [1, 2]
    snapshot = take(raised(lambda mine: fail(mine), shared))
    outer, inner = snapshot.frames[-2:]
    assert outer.names is not None
    assert inner.names is not None
    assert outer.names["mine"] == inner.names["value"]


def test_arrays_come_back_writable() -> None:
    array = kept(numpy.arange(5))
    array[0] = 9
    assert array.tolist() == [9, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (numpy.zeros(200_000), "<ndarray 200,000 float64: not kept, it is larger than 1 MB>"),
        (numpy.zeros(400_000)[::2], "<ndarray 200,000 float64: not kept, it is larger than 1 MB>"),
        (list(range(1_000_000)), "<list of 1,000,000: [0, 1, 2, 3, 4, 5, ...]: not kept, it is larger than 1 MB>"),
        (Refuses(), "not kept, it cannot be pickled (RuntimeError: no copies of me)>"),
        (threading.Lock(), "not kept, it cannot be pickled (TypeError: cannot pickle '_thread.lock' object)>"),
    ],
)  # fmt: skip
def test_what_is_not_kept_is_described(value: Any, text: str) -> None:
    found = kept(value)
    assert isinstance(found, LeftOut)
    assert repr(found).endswith(text)


def test_the_whole_is_bounded_and_the_innermost_frames_go_first() -> None:
    def nested(depth: int) -> None:
        data = numpy.full(100_000, depth)
        if depth == 0:
            raise ValueError(data.size)
        nested(depth - 1)

    snapshot = take(raised(nested, 20))
    first, last = variables(snapshot, snapshot.frames[1]), variables(snapshot, snapshot.frames[-1])
    assert last["data"].tolist() == [0] * 100_000
    assert "there are too many of them" in repr(first["data"])
    assert first["depth"] == 20
    pickled = [each for each in snapshot.variables if isinstance(each, Pickled)]
    assert sum(len(part) for each in pickled for part in (each.stream, *each.buffers)) <= frame_snapshots.MAX_FAILURE


def test_a_recursion_keeps_both_ends() -> None:
    frames = take(raised(pass_on, 200)).frames
    assert len(frames) == frame_snapshots.MAX_FRAMES
    assert frames[0].function == "raised"
    assert frames[-1].line == pass_on.__code__.co_firstlineno + 2


def test_there_is_an_end_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_snapshots, "MAX_SECONDS", -1.0)
    assert "there was no more time" in repr(kept("x"))


def test_a_failure_is_kept_in_a_file_for_its_owner(directory: Path) -> None:
    before = time.time()
    path = Path(keep(raised(fail, "x")))
    assert path.parent == directory
    assert path.stat().st_mode & 0o777 == 0o600
    header, snapshot = read(path)
    assert (header.about, header.error) == (ABOUT, "over 3: 2")
    assert before <= header.at <= time.time()
    assert snapshot.frames[-1].function == "fail"


def test_nothing_is_kept_where_nobody_asked_for_it() -> None:
    assert keep(raised(fail, "x")) == ""


def test_an_error_without_frames_is_not_kept(directory: Path) -> None:
    assert keep(ValueError("never raised")) == ""


def test_a_failure_that_cannot_be_kept_costs_nothing_else(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "failures").write_text("a file is in the way")
    assert keep(raised(fail, "x")) == ""


def test_a_failure_passed_on_says_where_the_inner_one_is(directory: Path) -> None:
    error = raised(fail, "x")
    error.nbray_frames = "/run/failures/1-1"  # type: ignore[attr-defined]
    assert take(error).inner == "/run/failures/1-1"


def test_the_latest_come_first_and_the_oldest_go(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_snapshots, "MAX_FILES", 3)
    paths = [Path(keep(raised(fail, number))) for number in range(5)]
    assert sorted(directory.iterdir()) == sorted(paths[2:])
    assert [path for _, path in headers(directory)] == paths[:1:-1]


def test_a_directory_has_a_size(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [Path(keep(raised(fail, bytes(100_000)))) for _ in range(4)]
    monkeypatch.setattr(frame_snapshots, "MAX_DIRECTORY", 5 * paths[0].stat().st_size // 2)
    sweep(directory)
    assert sorted(directory.iterdir()) == sorted(paths[2:])


def test_a_directory_that_was_never_made_has_no_failures(tmp_path: Path) -> None:
    assert headers(tmp_path / "failures") == []


def test_what_cannot_be_rebuilt_is_described(tmp_path: Path) -> None:
    gone = frame_snapshots.Pickled(b"\x80\x05cno_such_module_here\nE\n.", [])
    write(tmp_path / "f" / "1-1", Header(ABOUT, "x", 0.0), Snapshot([], [], [gone], ""))
    assert "cannot be rebuilt here (ModuleNotFoundError" in repr(load(read(tmp_path / "f" / "1-1")[1].variables[0]))


def test_values_of_any_kind_have_a_description() -> None:
    assert frame_snapshots.describe(Refuses()).startswith("Refuses <Refuses instance at")
    assert frame_snapshots.describe(type("Shy", (), {"shape": property(Refuses.__repr__)})()) == "Shy, whose repr raises KeyError"
    assert frame_snapshots.describe("x" * 10_000).startswith("str of 10,000: 'xxxxxxxxxxxx...")


def test_damaged_frames_are_not_unpickled(tmp_path: Path) -> None:
    header = frame_snapshots.Header(frame_snapshots.About(1, 1, "f", "worker 0"), "text", 1.0)
    for name in ("whole", "damaged"):
        frame_snapshots.write(tmp_path / name, header, take(raised(fail, 1)))
    path = tmp_path / "damaged"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Broken, match="its checksum does not match"):
        frame_snapshots.read(path)
    path.write_bytes(b"rubbish")
    assert [each.name for _, each in frame_snapshots.headers(tmp_path)] == ["whole"]
