"""A process that is no part of a cluster and only asks it something: the command line, another kernel."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from nbray.engine import handshake, transport, wire
from nbray.engine.run_directory import ClusterFile
from nbray.engine.zygote import SOCKET_NAME
from nbray.errors import ClusterDied
from nbray.scheduler.messages import PROTOCOL, Answer, Ask, Hello

ANSWER_SECONDS = 10.0


def ask(directory: Path, cluster: ClusterFile, question: str, argument: int = 0, text: str = "") -> Any:
    """The answer of the cluster in this run directory, as plain data. Blocks. Raises ClusterDied, TimeoutError."""
    try:
        with transport.connect(directory / SOCKET_NAME) as sock:
            hello = Hello("watcher", os.getpid(), PROTOCOL, cluster.epoch)
            _, early, decoder, descriptors = handshake.say_hello(sock, hello, ANSWER_SECONDS)
            for descriptor in descriptors:
                os.close(descriptor)
            sock.settimeout(ANSWER_SECONDS)
            sock.sendall(wire.frame(Ask(1, question, argument, text)))
            return _answer(sock, decoder, list(early))
    except (OSError, EOFError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise ClusterDied(f"cluster {cluster.epoch} cannot be asked: {error}") from None


def _answer(sock: socket.socket, decoder: wire.FrameDecoder[Any], messages: list[Any]) -> Any:
    while True:
        for message in messages:
            if isinstance(message, Answer):
                return msgspec.msgpack.decode(message.body)
        data = sock.recv(1 << 16)
        if not data:
            raise EOFError("it closed the connection")
        messages = decoder.feed(data)
