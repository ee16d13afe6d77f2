"""The rules say what is true of a manifest, the first that has something to say decides, and one always does."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.notebook.manifest import FAILED, LOST, OK, RUNNING, STOPPED, Manifest, Piece, Stages, Tasks
from nbray.notebook.verdicts import RULES, differences, verdict

FRAME = Piece("df", "DataFrame", size=1_288_490_189)
SMALL = Piece("x", "int", size=9, hash="aa")


def manifest(stages: Stages | None = None, **fields: Any) -> Manifest:
    given = {"cell_run": "c", "number": 4, "notebook": "a", "began": 0.0, "how": "remote", "outcome": OK, "cores": 8}
    return Manifest(**{**given, "stages": stages or Stages(run=3.0), **fields})


SAYS: list[tuple[Manifest, str]] = [
    (
        manifest(Stages(ship=1.9, queue=0.1, run=1.0, back=0.1), inputs=(SMALL, FRAME), shipped=1_288_500_000),
        "61 % of the 3.1 s was shipping `df` (1.2 GiB): nbray.put it once (ref = nbray.put(df)) and say nbray.get(ref) in cells",
    ),
    (
        manifest(Stages(ship=2.0), inputs=(Piece("rows", "list", size=5_000_000),), shipped=9_000_000),
        "100 % of the 2.0 s was shipping `rows` (4.8 MiB): it is packed and unpacked item by item. %%remote --on NAME keeps it",
    ),
    (
        manifest(Stages(ship=2.0), inputs=(Piece("a", "A"), Piece("b", "B")), shipped=9_000_000),
        "100 % of the 2.0 s was shipping its names (8.6 MiB). Name what it needs: %%remote -i a b.",
    ),
    (
        manifest(Stages(ship=2.0, run=1.0), how="tasks", stored=9_000_000, tasks=Tasks(30, run_seconds=1.0, elapsed=1.0)),
        "67 % of the 3.0 s was writing arguments and captured values into the store (8.6 MiB): nbray.put what several tasks use",
    ),
    (manifest(Stages(ship=0.1), inputs=(SMALL,), shipped=600), "100 % of the 0.1 s was making the worker ready"),
    (manifest(Stages(start=1.0, run=0.1)), "91 % of the 1.1 s was starting the cluster, which runs now"),
    (
        manifest(Stages(queue=3.0, run=1.0), waited_for="all CPUs held by cell [3]"),
        "75 % of the 4.0 s was waiting: all CPUs held by cell [3]. %nbray scale N",
    ),
    (manifest(Stages(queue=3.0), waited_for="a worker that is starting"), "waiting for a worker that is starting."),
    (manifest(Stages(queue=3.0)), "waiting for a worker. %nbray scale N"),
    (manifest(Stages(queue=3.0), how="remote --on gpu0 --bg"), "waiting for the namespace gpu0: for an earlier cell there"),
    (
        manifest(Stages(run=1.0, back=2.0), outputs=(Piece("model", "Forest", size=1_200_000_000, on_cluster=True), SMALL)),
        "67 % of the 3.0 s was packing and bringing back `model` (1.1 GiB): -o NAME brings only what you need",
    ),
    (manifest(Stages(back=2.0)), "was bringing back what it made: -o NAME"),
    (manifest(Stages(here=2.0, run=1.0), how="tasks"), "67 % of the 3.0 s was code that ran in the notebook itself"),
    (manifest(Stages(run=2.0), worker="worker 0", cpu=0.1), "its own code, which mostly waited (it used the CPU for 0.1 s)"),
    (manifest(Stages(run=2.0), worker="worker 0", cpu=2.0), "its own code, on one of 8 cores: %%parallel for x in xs"),
    (manifest(Stages(run=2.0), worker="worker 0", cpu=2.0, cores=1), "its own code, which kept 1.0 cores busy."),
    (manifest(Stages(run=2.0), worker="worker 0", cpu=7.8), "its own code, which kept 3.9 cores busy."),
    (manifest(Stages(run=0.1), worker="worker 0", cpu=0.1), "100 % of the 0.1 s was its own code."),
    (
        manifest(Stages(run=2.0), how="tasks", tasks=Tasks(1000, run_seconds=0.3, elapsed=2.0)),
        "1,000 tasks of 0.3 ms each: to send so small a task costs more than to run it.",
    ),
    (
        manifest(Stages(run=2.0), how="tasks", tasks=Tasks(3, run_seconds=5.0, elapsed=2.0)),
        "was 3 tasks, for 8 cores: smaller ones, and more of them",
    ),
    (
        manifest(Stages(run=2.0), how="parallel", tasks=Tasks(30, run_seconds=4.0, elapsed=2.0)),
        "was its 30 tasks, which kept 2.0 of 8 cores busy: some waited, or one took much longer",
    ),
    (
        manifest(Stages(run=2.0), how="tasks", tasks=Tasks(30, run_seconds=15.0, elapsed=2.0)),
        "100 % of the 2.0 s was its 30 tasks, which kept 7.5 of 8 cores busy.",
    ),
    (manifest(Stages(run=0.01)), "10 ms in all: too short for anything to be gained."),
    (manifest(Stages(ship=1.0, run=1.0, back=1.0)), "No part of the 3.0 s stands out."),
    (manifest(Stages(here=0.01), cache="kept result", spared=12.0), "Nothing was run: what an earlier run had made in 12.0 s"),
    (
        manifest(Stages(queue=5.0), outcome=RUNNING, waited_for="all CPUs held by cell [3]"),
        "It has not ended: 5.0 s so far, and it waited for all CPUs held by cell [3].",
    ),
    (manifest(Stages(ship=5.0), outcome=LOST), "Its kernel was lost while it ran"),
    (manifest(outcome=FAILED, error="ValueError: no"), "It failed after 3.0 s (ValueError: no). 100 % of the 3.0 s was its own"),
    (manifest(outcome=STOPPED), "You stopped it after 3.0 s. 100 % of the 3.0 s"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "said"), SAYS, ids=[said[:40] for _, said in SAYS])
def test_each_rule_has_its_say(given: Manifest, said: str) -> None:
    assert said in verdict(given)
    assert "\n" not in verdict(given)


def test_every_rule_is_among_them() -> None:
    asked = {next(name for name, rule in RULES.items() if rule(given, ())) for given, _ in SAYS}
    assert asked == set(RULES) - {"repeated"}


def test_what_ran_before_with_the_same_inputs_could_have_been_kept() -> None:
    work = {"code": "c0de", "inputs": (SMALL,), "worker": "worker 0", "cpu": 2.0}
    before = manifest(Stages(run=2.0), **{**work, "number": 2})
    again = manifest(Stages(run=2.0), **work)
    said = r"The same code with the same inputs ran before, in \[2\] \(19\d\d-\d\d-\d\d \d\d:\d\d\): with %%remote --cache"
    assert re.match(said, verdict(again, [before]))
    others = [
        msgspec.structs.replace(before, code="other"), msgspec.structs.replace(before, outcome=FAILED),
        msgspec.structs.replace(before, inputs=(Piece("x", "int", hash="bb"),)),
        msgspec.structs.replace(before, modules={"rates": "1"}), msgspec.structs.replace(before, inputs=(Piece("x", "A"),)),
    ]  # fmt: skip
    assert "ran before" not in verdict(again, others)
    sampled = manifest(Stages(run=2.0), **{**work, "inputs": (Piece("x", "ndarray", hash="~aa"),)})
    assert "ran before" not in verdict(sampled, [sampled])


def test_differences_name_what_has_changed() -> None:
    earlier = manifest(
        inputs=(SMALL, Piece("y", "int", hash="1"), Piece("z", "A")), modules={"rates": "0123456789abcdef", "gone": "1"},
        packages={"numpy": "2.3.0", "pandas": "3.0"}, python="3.11.7",
    )  # fmt: skip
    assert differences(earlier, earlier) == []
    now = manifest(
        inputs=(SMALL, Piece("y", "int", hash="2"), Piece("z", "A", hash="3"), Piece("new", "int", hash="4")),
        modules={"rates": "fedcba9876543210"}, packages={"numpy": "2.4.6", "pandas": "3.0"}, python="3.12.1",
    )  # fmt: skip
    assert differences(now, earlier) == [
        "other content of y", "module rates 01234567 -> fedcba98", "numpy 2.3.0 -> 2.4.6", "Python 3.11.7 -> 3.12.1",
    ]  # fmt: skip


seconds = st.floats(0.0, 1e6)


@given(
    st.builds(Stages, seconds, seconds, seconds, seconds, seconds, seconds), st.sampled_from([OK, FAILED, STOPPED, RUNNING]),
    st.builds(Tasks, st.integers(0, 10**6), st.just(0), st.just(0), seconds, seconds), st.integers(0, 64),
    st.sampled_from(["", "w"]),
)  # fmt: skip
def test_there_is_always_something_to_say(stages: Stages, outcome: str, tasks: Tasks, cores: int, worker: str) -> None:
    assert verdict(manifest(stages, outcome=outcome, tasks=tasks, cores=cores, worker=worker))
