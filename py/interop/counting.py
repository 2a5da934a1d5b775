"""Numbered UDP packets from one namespace to another, and what became of each."""

import contextlib
import ctypes
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.netlab import Namespace

PORT: Final = 7777
LINGER: Final = 2.0
"""Seconds in which the last packets may arrive."""
_CLONE_NEWNET: Final = 0x40000000
_NUMBER: Final = struct.Struct("!Q")


def udp_socket(namespace: Namespace, address: str, port: int = 0) -> socket.socket:
    """A UDP socket of another namespace: a thread goes there, opens it and ends."""

    def opened() -> socket.socket:
        descriptor = os.open(Path("/run/netns") / namespace.name, os.O_RDONLY)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(descriptor)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((address, port))
        return udp

    with ThreadPoolExecutor(1) as place:
        return place.submit(opened).result()


@dataclass
class Count:
    """What was sent in one direction, and how often each packet arrived."""

    sent: int = 0
    arrived: Counter[int] | None = None

    @property
    def lost(self) -> list[int]:
        """Numbers of packets that did not arrive."""
        assert self.arrived is not None
        return [number for number in range(self.sent) if number not in self.arrived]

    @property
    def repeated(self) -> list[int]:
        """Numbers of packets that arrived more than once."""
        assert self.arrived is not None
        return [number for number, times in self.arrived.items() if times > 1]


@contextlib.contextmanager
def counted(
    source: tuple[Namespace, str], target: tuple[Namespace, str], rate: float, size: int = 200
) -> Iterator[Count]:
    """Send `rate` packets a second while the block runs; the count is complete behind it."""
    count, stop = Count(), threading.Event()
    with udp_socket(*source) as sender, udp_socket(*target, PORT) as receiver:
        receiver.settimeout(LINGER)
        with ThreadPoolExecutor(2) as threads:
            arrivals = threads.submit(_receive, receiver)
            sending = threads.submit(_send, sender, (target[1], PORT), (rate, size), stop)
            try:
                yield count
            finally:
                stop.set()
                count.sent = sending.result()
                count.arrived = arrivals.result()


def _send(
    sender: socket.socket, target: tuple[str, int], pace: tuple[float, int], stop: threading.Event
) -> int:
    rate, size = pace
    start, number = time.monotonic(), 0
    while not stop.wait(max(0.0, start + number / rate - time.monotonic())):
        sender.sendto(_NUMBER.pack(number).ljust(size, b"."), target)
        number += 1
    return number


def _receive(receiver: socket.socket) -> Counter[int]:
    """Until nothing has come for a while."""
    found: Counter[int] = Counter()
    with contextlib.suppress(TimeoutError):
        while True:
            found[_NUMBER.unpack_from(receiver.recv(65535))[0]] += 1
    return found
