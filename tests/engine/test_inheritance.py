from nbray.engine.inheritance import Inheritance
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.store.arena import Arena
from tests.scheduler.pretend import make_config


def test_a_worker_gets_less_than_the_scheduler_process() -> None:
    arena = Arena.create(4096)
    inheritance = Inheritance(make_config(), Words(), Unsent(), arena, 7)
    assert (inheritance.listener, inheritance.zygote, inheritance.profile) == (None, None, b"")
    arena.close()
