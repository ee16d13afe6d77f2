"""What users of cells get wrong, in one table: each is told what happened, what was expected and what to type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("bad"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        yield kernel


WRONG: list[tuple[str, str, str]] = [
    # ---- names that do not exist
    ("%%remote\nprint(prcie)", "NameError", "Did you mean price?"),
    ("%%remote -i words\nprint(price)", "NameError", "The notebook has price, but it did not go along"),
    ("%%remote\neval('price')", "NameError", "the code of the cell does not name it"),
    ("%%remote -i prcie\n1", "UsageError", "-i prcie: the notebook has no such name. Did you mean price?"),
    ("%%remote -o totl\ntotal = 1", "UsageError", "-o totl: the cell does not assign it; it assigns total. Did you mean total?"),
    ("%%parallel for word in wrods\nword", "NameError", "Did you mean words?"),
    ("%%parallel for word in words\nprcie", "NameError", "Did you mean price?"),
    ("%remote fetch price", "UsageError", "no namespace lives"),
    ("%remote who gpu0", "UsageError", "there is no namespace 'gpu0': there is none. A cell with %%remote --on gpu0 makes it"),
    # ---- return and yield in a place where they mean nothing
    ("%%remote\nreturn price", "SyntaxError", "a cell is no function: write the value as its last expression, or assign it"),
    ("%%parallel for word in words\nreturn word", "SyntaxError", "a cell is no function: write the value as its last expression"),
    ("%%parallel for word in words\nyield word", "UsageError", "Make a list of them there"),
    # ---- magics that make no sense on a worker
    ("%%remote\n%nbray", "UsageError", "%nbray belongs to the notebook, and this cell runs on a worker: give it a cell of"),
    ("%%remote\n%remote who", "UsageError", "%remote belongs to the notebook"),
    ("%%remote\n%%remote\nprice", "UsageError", "functions made by @nbray.remote, and nbray.map, submit more work from there"),
    ("%%remote\n%debug", "UsageError", "%debug in a cell of its own opens pdb in its frames"),
    ("%%remote\n%matplotlib widget", "UsageError", "figures of a cell on a worker come as pictures: leave the line out"),
    ("%%parallel for word in words\n%history", "UsageError", "%history belongs to the notebook"),
    # ---- lines
    ("%%remote price = 3\n1", "UsageError", "%%remote takes no price = 3: code goes below this line"),
    ("%%remote --cpu two\n1", "UsageError", "%%remote --cpus two: expected a number, as %%remote --cpus 2"),
    ("%%remote --chache\n1", "UsageError", "there is no --chache: did you mean --cache?"),
    ("%%remote --cache --on a\n1", "UsageError", "--cache with --on: "),
    ("%%remote --name 'a\n1", "UsageError", "a quotation mark opens there that nothing closes"),
    ("%%parallel words\n1", "UsageError", "%%parallel words: expected what to go through, as %%parallel for x in xs"),
    ("%nbray scael 3", "UsageError", "%nbray scael: did you mean scale?"),
    ("%nbray scale -n 3", "UsageError", "%nbray scale takes no --workers; it belongs to %nbray start"),
    ("%remote onn", "UsageError", "%remote onn: did you mean on?"),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "kind", "said"), WRONG, ids=[cell.replace("\n", " / ") for cell, _, _ in WRONG])
def test_what_is_wrong_is_told_and_the_notebook_goes_on(kernel: Kernel, cell: str, kind: str, said: str) -> None:
    kernel.run_ok("price, words = 3, ['a', 'b']")
    wrong = kernel.run(cell)
    assert wrong.status == "error", wrong.everything()
    assert wrong.error_name == kind
    assert said in wrong.everything()
    assert kernel.run("%%remote\nprice + 1").shown[-1] == "4"


def test_a_cell_that_reads_a_clock_is_not_kept_without_a_word(kernel: Kernel) -> None:
    cell = kernel.run_ok("%%remote --cache\nimport random, time\nt = time.time(), random.random()")
    assert "uses time.time, random.random, which the cache does not track: what it gives once, it keeps" in cell.stderr


def test_a_namespace_that_died_says_what_was_lost(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on doomed\nmodel, table = [1, 2, 3], {'a': 1}")
    died = kernel.run("%%remote --on doomed\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert died.error_name == "ActorDied"
    for words in ("the namespace 'doomed' has died", "model", "table", "The next %%remote --on doomed begins with an empty one"):
        assert words in died.everything()
    assert "NameError" in kernel.run("%%remote --on doomed\nmodel").everything()
    kernel.run_ok("%remote drop doomed")
