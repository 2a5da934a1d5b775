"""Links in memory and the pcap that records them."""

import io
from collections import Counter
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import PcapReader

from p4esp.switch.ports.memory import Link, MemoryPort
from p4esp.switch.ports.pcap import PcapWriter


class Switch:
    """Stands in for a device: sends what enters one port out of another, once per hop."""

    def __init__(self, forward: dict[int, int]) -> None:
        self.forward = forward
        self.sinks: dict[int, Callable[[list[bytes]], None]] = {}
        self.depth = 0
        self.bursts: list[int] = []

    def attach(self, port: int, sink: Callable[[bytes], None]) -> None:
        """Register who gets what leaves `port`."""
        self.sinks[port] = lambda packets: [sink(packet) for packet in packets].clear()

    def attach_burst(self, port: int, sink: Callable[[list[bytes]], None]) -> None:
        """The same, a burst at a time."""
        self.sinks[port] = sink

    def detach(self, port: int) -> None:
        """Leave `port` without a sink."""
        self.sinks.pop(port, None)

    def inject(self, port: int, packet: bytes) -> None:
        """A burst of one."""
        self.inject_burst(port, [packet])

    def inject_burst(self, port: int, packets: Sequence[bytes]) -> None:
        """Forward what the hop counter in the first byte lets live; never re-entered."""
        assert self.depth == 0
        self.depth += 1
        self.bursts.append(len(packets))
        out = [bytes((packet[0] - 1,)) + packet[1:] for packet in packets if packet[0]]
        if out:
            self.sinks.get(self.forward[port], lambda frames: None)(out)
        self.depth -= 1


def test_frames_cross_a_link_and_come_back_without_recursion() -> None:
    left, right = Switch({1: 1}), Switch({2: 2})
    link = Link((left, 1), (right, 2))
    left.sinks[1]([b"\xffping"])
    assert link.deliver() == 256


def test_link_wakes_its_driver_once_for_a_burst() -> None:
    left, right = Switch({1: 1}), Switch({2: 2})
    wakeups: Counter[str] = Counter()
    link = Link((left, 1), (right, 2), wakeup=lambda: wakeups.update(("burst",)))
    for _ in range(5):
        left.sinks[1]([b"\0"])
    link.deliver()
    left.sinks[1]([b"\0"])
    assert wakeups["burst"] == 2


def test_frames_that_wait_for_the_same_end_arrive_as_bursts_in_their_order() -> None:
    left, right = Switch({1: 1}), Switch({2: 3})
    link = Link((left, 1), (right, 2))
    far = MemoryPort(right, 3)
    sent = [bytes((1, number)) for number in range(100)]
    left.sinks[1](sent[:3])
    left.sinks[1](sent[3:])
    assert link.deliver() == 100
    assert right.bursts == [64, 36]
    assert [frame[1] for frame in far.receive()] == list(range(100))


def test_filter_may_change_lose_and_record_what_is_on_the_wire() -> None:
    stream = io.BytesIO()
    left, right = Switch({1: 1}), Switch({2: 3})
    link = Link((left, 1), (right, 2), pcap=PcapWriter(stream, lambda: 5))
    far = MemoryPort(right, 3)
    link.on_wire = lambda frame: None if b"lost" in frame else frame.replace(b"a", b"b")
    for payload in (b"\1a", b"\1lost"):
        left.sinks[1]([payload])
    link.deliver()
    assert far.receive() == [b"\0b"]
    assert stream.getvalue().endswith(b"\1b")


def test_pulled_cable_carries_nothing() -> None:
    left, right = Switch({1: 1}), Switch({2: 2})
    link = Link((left, 1), (right, 2))
    left.sinks[1]([b"\1"])
    link.disconnect()
    assert link.deliver() == 0
    assert not left.sinks
    assert not right.sinks


def test_memory_port_counts_what_it_cannot_hold() -> None:
    switch = Switch({1: 1})
    port = MemoryPort(switch, 1, limit=2)
    for _ in range(3):
        port.send(b"\1")
    assert (len(port.receive()), port.lost) == (2, 1)


@given(st.lists(st.tuples(st.binary(min_size=14, max_size=300), st.integers(0, 2**32 * 10**9 - 1))))
def test_scapy_reads_back_frames_and_time_stamps(records: list[tuple[bytes, int]]) -> None:
    stream = io.BytesIO()
    now = [0]
    writer = PcapWriter(stream, lambda: now[0])
    for frame, now[0] in records:
        writer.write(frame)
    stream.seek(0)
    with PcapReader(stream) as reader:
        found = [(bytes(packet), int(packet.time * 10**9)) for packet in reader]
    assert found == records
