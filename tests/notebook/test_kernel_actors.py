"""Actors in a real kernel: output goes to the cell that called, Stop ends calls and leaves the actor, %%remote uses them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebook.kernel import Kernel, running_kernel

pytestmark = pytest.mark.local

COUNTER = """
import asyncio, time, nbray
@nbray.remote
class Counter:
    def __init__(self): self.count = 0; print("made")
    def add(self, text=""):
        self.count += 1
        print("counted", text)
        return self.count
    def nap(self, seconds):
        print("napping", flush=True)
        time.sleep(seconds)
@nbray.remote
class Meeting:
    async def say(self, text):
        await asyncio.sleep(0.01)
        print("said", text)
counter, meeting = Counter.remote(), Meeting.remote()
_ = nbray.get(counter.__ray_ready__.remote())
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("actors"), "%load_ext nbray", "%nbray start -n 2") as kernel:
        assert kernel.run_ok(COUNTER).stdout == "made\n"
        yield kernel


def test_output_goes_to_the_cell_that_called(kernel: Kernel) -> None:
    for text in ("one", "two"):
        cell = kernel.run_ok(f"n = nbray.get(counter.add.remote({text!r}))")
        assert cell.stdout == f"counted {text}\n"
        assert kernel.run_ok(f"nbray.get(meeting.say.remote({text!r}))").stdout == f"said {text}\n"


def test_refs_and_handles_show_themselves(kernel: Kernel) -> None:
    assert kernel.run_ok("counter").result == "Actor(Counter, alive)"
    assert kernel.run_ok("await meeting.say.remote('awaited')").stdout == "said awaited\n"


def test_remote_cells_use_actors_of_the_notebook(kernel: Kernel) -> None:
    before = int(kernel.run_ok("nbray.get(counter.add.remote())").result)
    kernel.run_ok("%%remote\nimport nbray\nseen = nbray.get(counter.add.remote('from afar'))")
    assert kernel.run_ok("seen").result == str(before + 1)


def test_a_redefined_class_makes_new_actors_and_keeps_old_ones(kernel: Kernel) -> None:
    kernel.run_ok("@nbray.remote\nclass Word:\n    def get(self): return 'old'\nold = Word.remote()")
    kernel.run_ok("@nbray.remote\nclass Word:\n    def get(self): return 'new'\nnew = Word.remote()")
    assert kernel.run_ok("nbray.get([old.get.remote(), new.get.remote()])").result == "['old', 'new']"


def test_stop_ends_the_call_and_leaves_the_actor(kernel: Kernel) -> None:
    running = kernel.submit("nbray.get(counter.nap.remote(60))")
    kernel.until(lambda: "napping" in running.stdout, 10, running)
    kernel.interrupt()
    assert kernel.wait(running).error_name == "KeyboardInterrupt"
    assert kernel.run_ok("isinstance(nbray.get(counter.add.remote(), timeout=5), int)").result == "True"


def test_a_detached_actor_outlives_a_restart_of_the_kernel(kernel: Kernel) -> None:
    kernel.run_ok("kept = Counter.options(name='kept', lifetime='detached').remote()\nnbray.get(kept.add.remote())")
    kernel.run_ok("lost = Counter.options(name='lost').remote()\nnbray.get(lost.add.remote())")
    kernel.restart()
    kernel.run_ok("%load_ext nbray")
    kernel.run_ok("import nbray\nkept = nbray.get_actor('kept')")
    assert kernel.run_ok("nbray.get(kept.add.remote())").result == "2"
    kernel.run_ok("nbray.kill(kept)")
