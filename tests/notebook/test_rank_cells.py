"""Which ranks a line asks for: how many fit, which namespaces are meant; on a cluster, what they share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nbray
from nbray import session
from nbray.errors import ActorDied, NotShippable, NotSupportedHere, UsageError
from nbray.notebook import namespaces, rank_cells
from nbray.notebook.command_lines import parse
from nbray.notebook.magics import NbrayMagics
from nbray.notebook.rank_cells import chosen
from nbray.placement_groups import PlacementGroup, placement_group_table
from tests.contract.conftest import map_the_store, until
from tests.fakes import fresh_session

CPU = 10_000


@pytest.mark.parametrize(
    ("asked", "needs", "world"),
    [(2, {"CPU": CPU}, 2), (None, {"CPU": CPU}, 4), (None, {"CPU": 2 * CPU}, 2), (8, {"CPU": CPU // 2}, 8),
     (None, {"CPU": CPU, "GPU": CPU}, 1)],
)  # fmt: skip
def test_how_many(asked: int | None, needs: dict[str, int], world: int) -> None:
    assert rank_cells._world(asked, needs, {"CPU": 4 * CPU, "GPU": CPU}) == world


@pytest.mark.parametrize(
    ("asked", "needs", "message"),
    [
        (0, {"CPU": CPU}, "-n 0: expected how many ranks shall run at once, 1 or more"),
        (5, {"CPU": CPU}, r"-n 5: .* room for 4 ranks: -n 4, or --all \(CPU: 1 a rank, 4 in the cluster\)"),
        (None, {"GPU": CPU}, r"--all: .* no room for a single one \(GPU: 1 a rank, 0 in the cluster\)"),
        (2, {}, "--cpus 0: a rank holds its worker"),
    ],
)
def test_what_cannot_be_is_refused(asked: int | None, needs: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rank_cells._world(asked, needs, {"CPU": 4 * CPU})


def test_memory_is_told_as_such() -> None:
    with pytest.raises(UsageError, match=r"memory: 2\.0 GiB a rank, 3\.0 GiB in the cluster"):
        rank_cells._world(2, {"memory": 2 * 1024**3 * 10_000}, {"memory": 3 * 1024**3 * 10_000})


def test_namespaces_by_name_and_pattern() -> None:
    living = ["gpu0", "gpu1", "main"]
    assert chosen([], living) == living
    assert chosen(["main", "gpu*", "gpu0"], living) == ["main", "gpu0", "gpu1"]
    with pytest.raises(UsageError, match=r"--each: no such namespace lives, there is none\. .*--each a b"):
        chosen([], [])
    with pytest.raises(UsageError, match=r"--each cpu\*: no such namespace lives, there are gpu0, gpu1, main"):
        chosen(["cpu*"], living)
    with pytest.raises(UsageError, match="is no name of a namespace"):
        chosen(["a/b"], living)


def test_the_serial_backend_has_no_ranks(shell: InteractiveShell) -> None:
    with fresh_session():
        nbray.init("serial")
        with pytest.raises(NotSupportedHere, match="without %%remote"):
            run(shell, "-n 2", "pass")


# -------------------------------------------------------------------- on a cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with fresh_session():
        nbray.init(num_workers=2, preload=["numpy", "nbray.notebook.namespace", "nbray.notebook.rank_cell"])
        map_the_store(session.current_backend())
        yield
        namespaces._open.clear()


def run(shell: InteractiveShell, line: str, cell: str) -> None:
    rank_cells.run(shell, line, cell, parse(NbrayMagics.remote, line))


@pytest.mark.local
def test_they_run_at_the_same_time_in_processes_of_their_own(
    cluster: None, shell: InteractiveShell, tmp_path: Path
) -> None:  # fmt: skip
    shell.user_ns["folder"] = tmp_path
    run(
        shell, "-n 2 -o pid rank --timeout 20",
        "import os, time\n(folder / str(rank)).touch()\n"
        "while not (folder / str(1 - rank)).exists(): time.sleep(0.01)\npid = os.getpid()",
    )  # fmt: skip
    assert len(set(shell.user_ns["pid"])) == 2
    assert shell.user_ns["rank"] == [0, 1]


@pytest.mark.local
def test_the_cluster_is_free_again_at_once(cluster: None, shell: InteractiveShell) -> None:
    run(shell, "--all", "pass")
    with pytest.raises(ValueError, match="0"):
        run(shell, "--all", "raise ValueError(rank)")
    assert placement_group_table() == {}
    assert until(lambda: nbray.available_resources()["CPU"] == 2.0)


@pytest.mark.local
def test_none_begins_before_there_is_room_for_all(
    cluster: None, shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_cells, "SILENT_SECONDS", 0.2)

    def work() -> float:
        time.sleep(0.8)
        return time.time()

    busy = nbray.remote(work).remote()
    assert until(lambda: nbray.available_resources()["CPU"] == 1.0)
    run(shell, "-n 2 -o begun", "import time\nbegun = time.time()")
    assert min(shell.user_ns["begun"]) >= nbray.get(busy)
    waits = "nbray: waiting until there is room for 2 ranks at the same time (CPU: 2, free 1)\n"
    assert capsys.readouterr().err == waits


@pytest.mark.local
def test_a_stop_of_the_waiting_leaves_nothing_reserved(
    cluster: None, shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(PlacementGroup, "wait", _interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(shell, "-n 2", "pass")
    assert caught.tb is not None  # and with it all frames
    assert until(lambda: nbray.available_resources()["CPU"] == 2.0)
    assert placement_group_table() == {}


def _interrupted(group: PlacementGroup, seconds: float) -> bool:
    raise KeyboardInterrupt


@pytest.mark.local
def test_what_cannot_be_sent_leaves_nothing_reserved(cluster: None, shell: InteractiveShell) -> None:
    shell.user_ns["lock"] = threading.Lock()
    with pytest.raises(NotShippable) as caught:
        run(shell, "-n 2", "lock")
    assert caught.tb is not None  # and with it all frames
    assert placement_group_table() == {}
    run(shell, "-n 2", "pass")


@pytest.mark.local
def test_names_that_it_does_not_assign_are_refused_before_it_runs(cluster: None, shell: InteractiveShell) -> None:
    with pytest.raises(UsageError, match=r"-o losses: the cell does not assign it; it assigns loss\. Did you mean loss\?"):
        run(shell, "-n 2 -o losses", "loss = 1")
    run(shell, "-n 2 -o rank loss", "loss = rank + 1")
    assert (shell.user_ns["rank"], shell.user_ns["loss"]) == ([0, 1], [1, 2])


@pytest.mark.local
def test_failures_stand_in_the_lists(cluster: None, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="late"):
        run(shell, "-n 2 -o x", "if rank: raise ValueError('late')\nx = 5")
    assert shell.user_ns["x"][0] == 5
    assert isinstance(shell.user_ns["x"][1], ValueError)
    assert "nbray: 1 of 2 ranks failed; the others ran to their end." in capsys.readouterr().err


@pytest.mark.local
def test_each_namespace_keeps_what_its_rank_assigns(cluster: None, shell: InteractiveShell) -> None:
    run(shell, "--each a b", "z = 100 + rank")
    run(shell, "--each", "z += world")
    run(shell, "--each b a -o z rank", "pass")
    assert shell.user_ns["z"] == [103, 102]
    assert shell.user_ns["rank"] == [0, 1]
    assert namespaces.existing("a").fetch(("z",)).values == {"z": 102}
    for name in ("a", "b"):
        namespaces.existing(name).end()
    assert until(lambda: namespaces.names() == [])


@pytest.mark.local
def test_one_namespace_that_dies_takes_no_other_along(cluster: None, shell: InteractiveShell) -> None:
    run(shell, "--each a b", "z = rank")
    with pytest.raises(ActorDied, match=r"the namespace 'b' has died: (.|\n)*Lost: z"):
        run(shell, "--each a b", "import os\nif rank: os._exit(3)\nz = 5")
    run(shell, "--each a -o z", "pass")
    assert shell.user_ns["z"] == [5]
    namespaces.existing("a").end()
    assert until(lambda: namespaces.names() == [])


@pytest.mark.local
def test_the_plan_says_how_many_and_runs_nothing(
    cluster: None, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, "--all --plan", "open('x', 'w')")
    assert capsys.readouterr().out.startswith("Ranks: 2 ranks, each in a worker of its own")
    run(shell, "--each a b --plan", "pass")
    assert capsys.readouterr().out.startswith("Ranks: the namespaces a, b.")
    assert namespaces.names() == []
