"""Clones, recirculation, resubmission, multicast, digests: what packets keep and what they lose."""

from dataclasses import dataclass

import pytest
from switch_lab import Lab, lab, program_json

from p4esp.switch import compiled
from p4esp.switch.codegen import deparser

PLAIN, I2E, E2E, RECIRCULATE, RESUBMIT, MULTICAST, DIGEST, DROP, TRUNCATE, DROP_LATE = range(10)
NORMAL, INGRESS_CLONE, EGRESS_CLONE, RECIRCULATED, REPLICATED, RESUBMITTED = 0, 1, 2, 4, 5, 6
KEPT, LOST = 0x5A, 0xA5
MARK = 15


@dataclass(frozen=True)
class Mark:
    """What egress saw."""

    passes: int
    instance_type: int
    port: int
    rid: int
    kept: int
    lost: int
    length: int
    op: int


def answers(running: Lab, op: int, session: int = 0, body: bytes = b"body") -> list[Mark]:
    found = []
    for port, packet in running.send(bytes([op, session]) + body, port=3):
        number = int.from_bytes
        mark = Mark(
            packet[0],
            number(packet[1:5], "big"),
            number(packet[5:7], "big"),
            number(packet[7:9], "big"),
            packet[9],
            packet[10],
            number(packet[11:15], "big"),
            packet[MARK],
        )
        assert mark.port == port
        assert packet[MARK + 2 :] == body
        found.append(mark)
    return found


def test_a_plain_packet_keeps_its_metadata_into_egress():
    assert answers(lab("replicate"), PLAIN) == [Mark(0, NORMAL, 1, 0, KEPT, LOST, 6, PLAIN)]


def test_an_ingress_clone_is_the_packet_as_it_came_with_only_listed_metadata():
    running = lab("replicate")
    running.device.set_clone_session(7, [(5, 1), (6, 2)])
    clones = [m for m in answers(running, I2E, 7) if m.instance_type == INGRESS_CLONE]
    assert clones == [Mark(0, 1, 5, 1, KEPT, 0, 6, I2E), Mark(0, 1, 6, 2, KEPT, 0, 6, I2E)]
    original = [m for m in answers(running, I2E, 7) if m.instance_type == NORMAL]
    assert original == [Mark(0, NORMAL, 1, 0, KEPT, LOST, 6, 0x77)]


def test_an_unknown_clone_session_makes_no_clone():
    assert [m.instance_type for m in answers(lab("replicate"), I2E, 7)] == [NORMAL]


def test_an_egress_clone_has_the_changes_made_in_egress():
    running = lab("replicate")
    running.device.set_clone_session(7, [(5, 9)])
    marks = sorted(answers(running, E2E, 7), key=lambda m: m.instance_type)
    assert marks == [
        Mark(0, NORMAL, 1, 0, KEPT, LOST, 6, E2E),
        Mark(1, EGRESS_CLONE, 5, 9, KEPT, 0, 6 + MARK, E2E),
    ]


def test_a_clone_session_cuts_packets_to_its_length():
    running = lab("replicate")
    running.device.set_clone_session(7, [(5, 0)], packet_length=10)
    sizes = {port: len(packet) for port, packet in running.send(bytes([I2E, 7]) + bytes(50))}
    assert sizes == {1: 50 + 2 + MARK, 5: 10}
    assert list(running.device.clone_sessions()) == [(7, ((5, 0),), 10)]


def test_a_recirculated_packet_is_parsed_again_as_deparsed():
    [mark] = answers(lab("replicate"), RECIRCULATE)
    assert mark == Mark(1, NORMAL, 4, 0, KEPT, LOST, 6 + MARK, RECIRCULATE)


def test_a_resubmitted_packet_starts_again_with_listed_metadata():
    [mark] = answers(lab("replicate"), RESUBMIT)
    assert mark == Mark(0, NORMAL, 1, 0, KEPT + 1, LOST, 6, RESUBMIT)


def test_multicast_sends_one_copy_per_replica():
    running = lab("replicate")
    running.device.set_multicast_group(4, [(2, 10), (3, 11)])
    assert answers(running, MULTICAST, 4) == [
        Mark(0, REPLICATED, 2, 10, KEPT, LOST, 6, MULTICAST),
        Mark(0, REPLICATED, 3, 11, KEPT, LOST, 6, MULTICAST),
    ]
    running.device.delete_multicast_group(4)
    assert answers(running, MULTICAST, 4) == []


def test_a_digest_carries_the_values_at_the_end_of_ingress():
    running = lab("replicate")
    got: list[tuple[str, tuple[int, ...]]] = []
    running.device.on_digest(lambda name, values: got.append((name, values)))
    answers(running, DIGEST)
    answers(running, PLAIN)
    assert got == [("event_t", (DIGEST, 3))]


def test_dropped_packets_leave_through_no_port():
    running = lab("replicate")
    assert answers(running, DROP) == []
    assert answers(running, DROP_LATE) == []


def test_truncate_cuts_the_outgoing_packet():
    [(_, packet)] = lab("replicate").send(bytes([TRUNCATE, 0]) + bytes(50))
    assert len(packet) == 12


def test_inject_gives_packets_to_sinks_and_counts_the_rest():
    running = lab("replicate")
    running.device.set_clone_session(7, [(5, 0)])
    got: list[bytes] = []
    running.device.attach(5, got.append)
    running.device.inject(0, bytes([I2E, 7]))
    assert len(got) == 1
    assert running.device.unattached == {1: 1}
    running.device.detach(5)
    running.device.inject(0, bytes([I2E, 7]))
    assert running.device.unattached == {1: 2, 5: 1}


def test_a_burst_reaches_each_sink_once_in_order_after_all_its_packets_ran():
    running = lab("replicate")
    running.device.set_clone_session(7, [(5, 0)])
    order = lambda packets: [packet[-1] for packet in packets]  # noqa: E731
    got: list[tuple[int, list[int]]] = []
    for port in (1, 5):
        running.device.attach_burst(port, lambda packets, p=port: got.append((p, order(packets))))
    burst = [bytes([op, 7, n]) for n, op in enumerate((PLAIN, I2E, DROP, PLAIN, I2E))]
    running.device.inject_burst(0, burst)
    assert sorted(got) == [(1, [0, 1, 3, 4]), (5, [1, 4])]


def test_a_sink_may_inject_again_and_all_is_delivered_before_inject_returns():
    running = lab("replicate")
    answer, got = bytes([PLAIN, 0, 9]), []

    def again(packets: list[bytes]) -> None:
        got.extend(packet[-1] for packet in packets)
        if len(got) < 4:
            running.device.inject_burst(1, [answer] * len(packets))

    running.device.attach_burst(1, again)
    running.device.inject_burst(0, [bytes([PLAIN, 0, 1]), bytes([PLAIN, 0, 2])])
    assert got == [1, 2, 9, 9]


def test_a_packet_that_comes_back_for_ever_is_dropped_and_counted():
    document = program_json("replicate")
    for action in document["actions"]:
        for call in action["primitives"]:
            if call["op"] == "truncate":
                call["op"] = "recirculate"
                call["parameters"] = [{"type": "hexstr", "value": "0x0"}]
    looping = lab(document)
    assert looping.send(bytes([TRUNCATE, 0])) == []
    assert list(looping.device.faults) == ["packet came back too often"]


def test_headers_asked_about_in_groups_are_there_behind_egress_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program with multicast has an egress of its own, which must know what ingress parsed."""
    before = answers(lab("replicate"), PLAIN)
    monkeypatch.setattr(deparser, "_GROUP", 1)
    compiled.written.cache_clear()
    try:
        running = lab("replicate")
        assert "some_0" in running.device.source
        assert answers(running, PLAIN) == before
    finally:
        compiled.written.cache_clear()
