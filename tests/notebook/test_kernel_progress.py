"""Progress bars in a real kernel: of tasks, of tqdm inside tasks, of the notebook's own code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Cell, Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    setup = ("%load_ext nbray", "import nbray, time", "%nbray start -n 2")
    with running_kernel(tmp_path_factory.mktemp("progress"), *setup) as kernel:
        yield kernel


def bars(cell: Cell) -> list[str]:
    """The texts of the display of bars, one after the other."""
    shown = [output for output in cell.of("display_data", "update_display_data") if _is_bars(output.content)]
    return [output.text for output in shown]


def _is_bars(content: dict[str, object]) -> bool:
    transient = content.get("transient")
    return isinstance(transient, dict) and str(transient.get("display_id", "")).startswith("nbray-progress-")


@pytest.mark.parametrize("bar", ["nbray.progress", "tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.notebook.tqdm"])
def test_bars_of_tasks_are_one_line_that_moves(kernel: Kernel, bar: str) -> None:
    kernel.run_ok(
        f"import tqdm, tqdm.auto, tqdm.notebook\ndef work(n):\n    for _ in {bar}(range(20), desc='work'): time.sleep(0.04)\n"
    )
    cell = kernel.run_ok("list(nbray.map(work, range(4), chunksize=1))")
    assert cell.stderr == ""
    texts = bars(cell)
    assert 2 <= len(texts) <= 12, cell.everything()
    assert "bars" in texts[1] or "/20" in texts[0]
    assert texts[-1].startswith("work: 100%|████████████| 80/80, 4 of 4 bars [")


def test_a_remote_cell_shows_its_bar(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote\nfrom tqdm import trange\nfor _ in trange(30, desc='inside'): time.sleep(0.02)")
    assert bars(cell)[-1].startswith("inside: 100%|████████████| 30/30 [")


def test_the_notebooks_own_bar(kernel: Kernel) -> None:
    cell = kernel.run_ok("for x in nbray.progress(nbray.map(abs, range(2000)), desc='own'): pass")
    assert bars(cell)[-1].startswith("own: 100%|████████████| 2,000/2,000 [")
    assert cell.stderr == ""


def test_a_bar_that_the_user_draws_elsewhere_is_left_alone(kernel: Kernel) -> None:
    cell = kernel.run_ok(
        "%%remote\nimport io, tqdm\nfile = io.StringIO()\nfor _ in tqdm.tqdm(range(3), file=file): pass\n"
        "print('3/3' in file.getvalue())"
    )
    assert cell.stdout == "True\n"
    assert bars(cell) == []
