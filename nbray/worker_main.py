"""The process that a driver starts: it becomes the zygote, and its forks the scheduler process and the workers.

It stands this high in the layers because a worker ties the engine to the public API: code in a task calls `nbray.get`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import NoReturn

from nbray import frame_snapshots, runtime_env
from nbray.engine import failed_frames, handshake, process_tree, rebirth, stack_dumps, worker, zygote
from nbray.engine.connection import Connection
from nbray.engine.inheritance import Inheritance
from nbray.engine.io_thread import IoThread
from nbray.engine.object_exchange import ObjectExchange
from nbray.engine.output import inherit_task_in_threads
from nbray.engine.zygote import SOCKET_NAME
from nbray.scheduler.messages import PROTOCOL, Hello
from nbray.store.object_store import ObjectStore

HELLO_SECONDS = 20.0


def main() -> NoReturn:
    """Become the zygote; does not return."""
    import nbray.backends.local
    import nbray.breakpoints
    import nbray.functions
    import nbray.parallel_map
    import nbray.tqdm_routing  # noqa: F401 - imported before the forks, so that every worker shares the pages

    zygote.main(run_scheduler, run_worker)


def run_scheduler(inheritance: Inheritance) -> None:
    """What the scheduler process does; its own imports (psutil) happen there, not in the zygote."""
    from nbray.engine import scheduler_process

    scheduler_process.run(inheritance)


def run_worker(inheritance: Inheritance, slot: int) -> None:
    """What a worker does: connect, offer the API to tasks, run tasks."""
    from nbray import breakpoints, session, streams, tqdm_routing, worker_input
    from nbray.backends.local import LocalBackend

    config = inheritance.config
    worker.reseed()
    inherit_task_in_threads()
    if config.working_directory:
        with contextlib.suppress(OSError):  # the notebook's folder may have been renamed: most tasks do not mind
            os.chdir(config.working_directory)
    hello = Hello("worker", os.getpid(), PROTOCOL, config.epoch, slot=slot)
    place = Path(config.run_directory) / SOCKET_NAME
    sock, (welcome, early, decoder, descriptors) = handshake.join(place, hello, HELLO_SECONDS, inheritance.death_pipe)
    for descriptor in descriptors:  # the arena came by inheritance already
        os.close(descriptor)
    io = IoThread("nbray-worker")
    io.watch(inheritance.death_pipe, read=worker.end_with_group)
    link = Connection(sock, decoder, welcome, io)
    exchange = ObjectExchange(link, ObjectStore(inheritance.arena, link.references.hold, link.release))
    process = worker.Worker(slot, inheritance.words, inheritance.unsent, link, exchange, config.output_limit)
    session.adopt(LocalBackend(link, exchange, welcome, profile=runtime_env.decode(inheritance.profile)))
    process.streaming.bundle = streams.bundle
    process.take_streams()
    tqdm_routing.take_tqdm()
    worker_input.take_input()
    breakpoints.take_breakpoints()
    if "nbray.notebook.remote_shell" in sys.modules:  # preloaded where a notebook asked for it
        sys.modules["nbray.notebook.remote_shell"].take_displays()
    stack_dumps.install(Path(config.run_directory))
    frame_snapshots.keep_where(failed_frames.place_in(Path(config.run_directory)))
    link.start(early)
    io.start()
    process.run()


def be_reborn(file: int) -> None:
    """What a worker does that the zygote has exec'd: what others inherit with the zygote's memory, it imports itself."""
    inheritance, slot = rebirth.unpack(file)
    sys.path[:] = list(inheritance.config.sys_path) or sys.path
    process_tree.mark_worker()
    zygote.preload(inheritance.config.preload)
    run_worker(inheritance, slot)


if __name__ == "__main__":
    main()
