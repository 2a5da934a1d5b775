"""The lab holds only what was checked, and sees what must not be on the wire."""

from pathlib import Path

import pytest

from lab import wire
from lab.compose_file import load_compose
from lab.facts import Facts
from lab.programs import how_to_get
from lab.targets import command_of
from lab.wire import Wire, read_wire

REPOSITORY = Path(__file__).parents[3]
GATEWAYS = frozenset({"192.0.2.1", "192.0.2.2"})
ARP = ["0x0806", "", "", "", "", ""]
IKE = ["0x0800", "192.0.2.1", "192.0.2.2", "", "", "34"]


def esp(number: int, spi: str = "0xc0ffee01") -> list[str]:
    return ["0x0800", "192.0.2.1", "192.0.2.2", spi, str(number), ""]


def judged(monkeypatch: pytest.MonkeyPatch, rows: list[list[str]]) -> Wire:
    """The verdict on frames with these fields."""
    monkeypatch.setattr(wire, "fields", lambda *_: rows)
    return read_wire(Path("wire.pcap"), GATEWAYS)


def test_esp_with_its_ike_and_arp_is_what_should_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, [ARP, IKE, esp(1), esp(2), esp(1, "0xc0ffee02")])
    assert list(found.faults) == []
    assert str(found) == "3 esp, 1 arp, 1 ike"
    assert found.exchanges == {34}


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (
            ["0x0800", "10.1.0.2", "10.2.0.2", "", "", ""],
            [
                "1 frames are neither ESP nor IKE nor ARP",
                "addresses of others: 10.1.0.2, 10.2.0.2",
            ],
        ),
        (["0x86dd", "", "", "", "", ""], ["1 frames are neither ESP nor IKE nor ARP"]),
        (esp(1), ["1 ESP packets with a sequence number for the second time"]),
    ],
    ids=["clear packet", "another protocol", "sequence number again"],
)
def test_what_must_not_be_there_is_named(
    monkeypatch: pytest.MonkeyPatch, frame: list[str], fault: list[str]
) -> None:
    assert list(judged(monkeypatch, [esp(1), frame]).faults) == fault


def test_a_wire_without_esp_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(judged(monkeypatch, [IKE]).faults) == ["no ESP"]


def test_all_held_only_when_each_claim_was_made_and_none_was_wrong() -> None:
    facts = Facts("embedded", ("one", "two"))
    facts.claim("one", [])
    assert not facts.all_held
    facts.claim("two", [])
    assert facts.all_held
    facts.claim("three", ["wrong"])
    assert not facts.all_held


def test_claims_that_are_not_made_have_a_reason() -> None:
    facts = Facts("embedded", ("one", "two", "three"))
    facts.claim("one", [])
    facts.give_up("left-switch ended")
    assert [(claim.held, claim.detail) for claim in facts.claims] == [
        (True, ""),
        (False, "left-switch ended"),
        (False, "not tried"),
    ]


def test_what_is_missing_is_named_with_its_packages() -> None:
    assert how_to_get(["ip", "ss", "iperf3"]) == (
        "ip, ss, iperf3 not found; accepted: apt-get install iperf3 iproute2"
    )


def test_our_switch_takes_the_place_of_bmv2_with_the_same_ports() -> None:
    services = load_compose(REPOSITORY / "docker-compose.yml").services
    switch, engine = services["left-switch"], services["left-engine"]
    assert command_of(switch, "bmv2") == switch.command
    ours = command_of(switch, "embedded")
    assert ours[:2] == ("p4esp", "switch")
    assert {word for word in switch.command if word.startswith("--interface=")} <= set(ours)
    assert "--no-p4" not in ours
    assert command_of(engine, "embedded") == engine.command
