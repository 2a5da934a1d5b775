"""Links in memory: a cable between two switch ports, or between a port and the program."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from p4esp.switch.ports.pcap import PcapWriter

Filter = Callable[[bytes], bytes | None]
"""Sees every frame on a link: returns it, another one in its place, or None to lose it."""

BURST = 64
"""Frames that cross a link together."""


class Ports(Protocol):
    """The part of a `Device` that a link needs."""

    def attach(self, port: int, sink: Callable[[bytes], None]) -> None:
        """Register who gets what leaves `port`."""

    def attach_burst(self, port: int, sink: Callable[[list[bytes]], None]) -> None:
        """The same, a burst at a time."""

    def detach(self, port: int) -> None:
        """Leave `port` without a sink."""

    def inject(self, port: int, packet: bytes) -> None:
        """Let `packet` enter at `port`."""

    def inject_burst(self, port: int, packets: Sequence[bytes]) -> None:
        """Let `packets` enter at `port`, one after the other."""


class Link:
    """A cable between two switch ports, recorded frame by frame where `pcap` is given.

    Frames travel when `deliver` is called, never inside the switch that sends them, so two
    switches that answer each other cannot recurse; what waits for the same end arrives as bursts.
    `wakeup` is called when an idle link gets its first frames: pass
    `lambda: loop.call_soon(link.deliver)` to let an event loop do it.
    """

    def __init__(
        self,
        left: tuple[Ports, int],
        right: tuple[Ports, int],
        *,
        pcap: PcapWriter | None = None,
        wakeup: Callable[[], object] = lambda: None,
    ) -> None:
        self.on_wire: Filter = lambda frame: frame
        self._pcap = pcap
        self._wakeup = wakeup
        self._in_flight: deque[tuple[Ports, int, list[bytes]]] = deque()
        self._ends = (left, right)
        left[0].attach_burst(left[1], self._sender_to(right))
        right[0].attach_burst(right[1], self._sender_to(left))

    def deliver(self) -> int:
        """Carry frames across until none is left; returns how many there were."""
        count = 0
        while self._in_flight:
            device, port, frames = self._in_flight.popleft()
            device.inject_burst(port, frames)
            count += len(frames)
        return count

    def disconnect(self) -> None:
        """Pull the cable; frames on it are lost."""
        self._in_flight.clear()
        for device, port in self._ends:
            device.detach(port)

    def _sender_to(self, end: tuple[Ports, int]) -> Callable[[list[bytes]], None]:
        def send(frames: list[bytes]) -> None:
            idle = not self._in_flight
            for frame in frames:
                carried = self.on_wire(frame)
                if carried is not None:
                    self._put(end, carried)
            if idle and self._in_flight:
                self._wakeup()

        return send

    def _put(self, end: tuple[Ports, int], frame: bytes) -> None:
        """Behind the last burst, or into it when that goes to the same end and has room."""
        if self._pcap is not None:
            self._pcap.write(frame)
        if self._in_flight:
            device, port, burst = self._in_flight[-1]
            if (device, port) == end and len(burst) < BURST:
                burst.append(frame)
                return
        self._in_flight.append((*end, [frame]))


class MemoryPort:
    """One port of a switch in the hands of the program: `send` into it, `received` out of it."""

    def __init__(self, device: Ports, port: int, limit: int = 100_000) -> None:
        self.lost = 0
        self._device = device
        self._port = port
        self._received: deque[bytes] = deque()
        self._limit = limit
        device.attach_burst(port, self._sink)

    def send(self, frame: bytes) -> None:
        """Let a frame enter the switch here."""
        self._device.inject(self._port, frame)

    def receive(self) -> list[bytes]:
        """All frames that left here since the last call; beyond the limit they count as `lost`."""
        frames = list(self._received)
        self._received.clear()
        return frames

    def _sink(self, frames: list[bytes]) -> None:
        room = self._limit - len(self._received)
        self._received.extend(frames[:room])
        self.lost += max(0, len(frames) - room)
