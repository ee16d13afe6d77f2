"""What the scheduler process and the zygote say to each other, over the socket pair that joins them."""

from __future__ import annotations

import msgspec


class ForkWorker(msgspec.Struct, array_like=True, tag=1):
    """Start a worker for `slot`; it sees only the devices `gpus`, or all where the cluster counts none, and has `profile`."""

    slot: int
    gpus: list[int]
    profile: bytes = b""


class SignalWorker(msgspec.Struct, array_like=True, tag=2):
    slot: int
    signal: int


class StopAll(msgspec.Struct, array_like=True, tag=3):
    """End every worker, remove the run directory, exit."""

    reason: str


class Forked(msgspec.Struct, array_like=True, tag=10):
    slot: int
    pid: int


class Exited(msgspec.Struct, array_like=True, tag=11):
    """A worker is gone and reaped; exactly one of exit code and signal is not negative."""

    slot: int
    pid: int
    exit_code: int
    signal: int


class StarterGone(msgspec.Struct, array_like=True, tag=12):
    """Who started the cluster has ended, or has left it for others to use."""


ToZygote = ForkWorker | SignalWorker | StopAll
FromZygote = Forked | Exited | StarterGone
