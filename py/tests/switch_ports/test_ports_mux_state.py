"""The rules of dpmux without gRPC: owners of ports, request ids, the window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p4esp.switch.ports.mux_state import (
    PortOwners,
    PortReservedError,
    PortTakenError,
    RequestIds,
    Window,
)
from p4esp.switch.ports.portset import PortSetError, format_ports, parse_ports

CPU_PORT = 510


@given(st.frozensets(st.integers(0, 511), min_size=1))
def test_port_sets_are_read_back(ports: frozenset[int]) -> None:
    assert parse_ports(format_ports(ports)) == ports


def test_port_sets_as_people_write_them() -> None:
    assert parse_ports("0-3, 7") == {0, 1, 2, 3, 7}
    assert format_ports([7, 3, 2, 1]) == "1-3,7"


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "512", "3-1", "1,,2", "0x1", "¹", "1" * 99])
def test_other_texts_are_refused_by_name(text: str) -> None:
    with pytest.raises(PortSetError, match=r"accepted: (such as|0\.\.511)"):
        parse_ports(text)


def test_port_belongs_to_one_client_and_a_taken_one_is_refused_by_name() -> None:
    owners: PortOwners[str] = PortOwners(CPU_PORT)
    owners.claim("engine", frozenset((5, 6)))
    with pytest.raises(PortTakenError, match="ports 5 are taken"):
        owners.claim("tester", frozenset((1, 5)))
    assert owners.owner(1) is None, "a refused client gets nothing"
    owners.release("engine")
    owners.claim("tester", frozenset((1, 5)))
    owners.require("tester", 5)
    with pytest.raises(PortTakenError, match="port 6 is not among"):
        owners.require("tester", 6)


def test_client_without_a_port_set_gets_the_rest() -> None:
    owners: PortOwners[str] = PortOwners(CPU_PORT)
    owners.claim("tester", None)
    owners.claim("engine", frozenset((5,)))
    assert [owners.owner(4), owners.owner(5)] == ["tester", "engine"]
    with pytest.raises(PortTakenError):
        owners.claim("second", None)


def test_nobody_gets_the_cpu_port() -> None:
    owners: PortOwners[str] = PortOwners(CPU_PORT)
    with pytest.raises(PortReservedError, match=f"port {CPU_PORT} is the CPU port"):
        owners.claim("engine", frozenset((5, CPU_PORT)))
    owners.claim("tester", None)
    owners.require("tester", 5)
    with pytest.raises(PortReservedError, match=f"port {CPU_PORT} is the CPU port"):
        owners.require("tester", CPU_PORT)


def test_request_id_comes_back_only_to_the_client_that_sent_it() -> None:
    ids: RequestIds[str] = RequestIds()
    first, second = ids.assign("a", 7), ids.assign("b", 7)
    assert first != second
    assert ids.original("a", first) == 7
    assert ids.original("b", first) == 0
    assert ids.original("a", 12345) == 0


def test_ids_do_not_pile_up() -> None:
    ids: RequestIds[str] = RequestIds()
    first = ids.assign("a", 7)
    for _ in range(65536):
        ids.assign("a", 1)
    assert ids.original("a", first) == 0


def test_window_opens_by_acknowledgement_or_after_the_grace() -> None:
    now = [0]
    window: Window[str] = Window(2, 100, lambda: now[0])
    window.sent("a", 1)
    now[0] = 10
    window.sent("b", 2)
    assert window.wait() == 90
    assert window.acknowledge(2)
    assert not window.acknowledge(2)
    assert window.wait() is None
    assert window.wait_for("a") == 90
    assert window.wait_for("b") is None
    now[0] = 100
    assert window.wait_for("a") is None


def test_window_of_size_zero_never_closes() -> None:
    window: Window[str] = Window(0, 100, lambda: 0)
    for number in range(1000):
        window.sent("a", number)
    assert window.wait() is None


@given(st.lists(st.one_of(st.integers(0, 40), st.just(-1), st.just(-2))))
def test_no_more_than_the_window_is_in_flight_within_the_grace(steps: list[int]) -> None:
    """Against a list: -1 sends if the window lets it, -2 acknowledges, else time passes."""
    now, sent = [0], [0]
    window: Window[str] = Window(3, 50, lambda: now[0])
    in_flight: dict[int, int] = {}
    for step in steps:
        if step == -1 and window.wait() is None:
            sent[0] += 1
            window.sent("a", sent[0])
            in_flight[sent[0]] = now[0]
        elif step == -2 and in_flight:
            window.acknowledge(next(iter(in_flight)))
            in_flight.pop(next(iter(in_flight)))
        elif step >= 0:
            now[0] += step
        in_flight = {one: at for one, at in in_flight.items() if now[0] - at < 50}
        assert len(in_flight) <= 3
        assert (window.wait() is None) == (len(in_flight) < 3)
