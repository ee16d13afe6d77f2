"""What zygote and scheduler process say to each other survives the wire, in its own direction."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nbray.engine import wire
from nbray.engine.supervision import Exited, Forked, ForkWorker, FromZygote, SignalWorker, StarterGone, StopAll, ToZygote


@pytest.mark.parametrize("message", [ForkWorker(3, [0, 2]), SignalWorker(0, 9), StopAll("the last driver has left")])
def test_to_the_zygote(message: msgspec.Struct) -> None:
    decoder: wire.FrameDecoder[Any] = wire.FrameDecoder(ToZygote)
    assert decoder.feed(bytes(wire.frame(message))) == [message]
    with pytest.raises(wire.ProtocolError):
        wire.FrameDecoder(FromZygote).feed(bytes(wire.frame(message)))


@pytest.mark.parametrize("message", [Forked(0, 4711), Exited(1, 4711, -1, 9), Exited(1, 4711, 3, -1), StarterGone()])
def test_from_the_zygote(message: msgspec.Struct) -> None:
    decoder: wire.FrameDecoder[Any] = wire.FrameDecoder(FromZygote)
    assert decoder.feed(bytes(wire.frame(message))) == [message]
    with pytest.raises(wire.ProtocolError):
        wire.FrameDecoder(ToZygote).feed(bytes(wire.frame(message)))
