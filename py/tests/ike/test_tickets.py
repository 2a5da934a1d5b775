"""Tickets by value (RFC 5723 6, 9): keys that change, and a short list of what is spent."""

import random

import pytest

from p4esp.ike import tickets
from p4esp.ike.tickets import KEY_PERIOD, TicketError, TicketOffice


def test_keys_of_tickets_change_and_those_of_good_tickets_stay() -> None:
    source = random.Random(7)
    office = TicketOffice(source.randbytes)
    early, _ = office.issue(b"early", 3600, 0.0)
    late, _ = office.issue(b"late", 3600, KEY_PERIOD - 1)
    new, _ = office.issue(b"new", 3600, KEY_PERIOD + 1)
    assert new[1:9] != late[1:9] == early[1:9]
    assert office.open(late, KEY_PERIOD + 1)[0] == b"late"
    with pytest.raises(TicketError, match="expired"):
        office.open(early, KEY_PERIOD + 1)
    office.issue(b"much later", 3600, 2 * KEY_PERIOD + 3602)
    with pytest.raises(TicketError, match="its key is gone"):
        office.open(new, 2 * KEY_PERIOD + 3602)


def test_spent_tickets_are_forgotten_once_they_have_expired() -> None:
    office = TicketOffice(random.Random(7).randbytes)
    for number in range(1000):
        _, serial = office.issue(b"x", 100, float(number))
        office.spend(serial, float(number))
    assert len(office._spent) <= 101


def test_a_list_that_is_full_makes_all_tickets_void(monkeypatch) -> None:
    """Rather than take one twice."""
    monkeypatch.setattr(tickets, "MAX_SPENT", 10)
    office = TicketOffice(random.Random(7).randbytes)
    good, _ = office.issue(b"good", 100, 0.0)
    for _ in range(11):
        _, serial = office.issue(b"x", 100, 0.0)
        office.spend(serial, 0.0)
    assert len(office._spent) == 1
    with pytest.raises(TicketError):
        office.open(good, 0.0)


@pytest.mark.parametrize("size", [0, 1, 8, 9, 20, 21, 36, 37])
def test_octets_that_are_no_ticket_are_refused(size) -> None:
    office = TicketOffice(random.Random(7).randbytes)
    good, _ = office.issue(b"good", 100, 0.0)
    for octets in (bytes(size), good[:size]):
        with pytest.raises(TicketError):
            office.open(octets, 0.0)


def test_a_ticket_shows_nothing_of_its_session() -> None:
    office = TicketOffice(random.Random(7).randbytes)
    ticket, _ = office.issue(b"a session with its keys", 100, 0.0)
    assert b"session" not in ticket
