"""What a gateway writes down of its IKE events."""

from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from ike_lab import EAST, WEST, path_between

from p4esp.controller.ike_events import IkeEvents
from p4esp.ike.events import AuthenticationFailed, IkeSaInfo, InternalAddresses
from p4esp.ike.internal_config import InternalConfig
from p4esp.service.journal import Journal, Kind


async def test_internal_addresses_of_peers_are_on_record() -> None:
    journal = Journal()
    events = IkeEvents("left", None, journal, lambda: None)  # type: ignore[arg-type]
    ike = IkeSaInfo(b"8 octets", b"of peer!", "road", False, path_between(EAST, WEST))
    await events.handle(InternalAddresses(ike, InternalConfig((ip_address("10.9.0.1"),))))
    entry = await journal.has(lambda entry: entry.kind is Kind.ADDRESSES)
    assert (entry.gateway, entry.subject) == ("left", f"road {b'8 octets'.hex()}")
    assert entry.text == "10.9.0.1"


@pytest.mark.parametrize("initiator", [True, False])
async def test_only_what_we_began_ourselves_fails_our_attempts(initiator: bool) -> None:
    """Whoever sends AUTH in a peer's name must not keep us from the peer."""
    failed: list[str] = []
    journal = Journal()
    events = IkeEvents("left", None, journal, lambda: None)  # type: ignore[arg-type]
    attempts: Any = SimpleNamespace(peer_failed=failed.append)
    events.attach(None, attempts, None)  # type: ignore[arg-type]
    ike = IkeSaInfo(b"8 octets", b"of peer!", "road", initiator, path_between(EAST, WEST))
    await events.handle(AuthenticationFailed(ike, "MAC"))
    assert failed == [ike.peer] * initiator
    assert [entry.kind for entry in journal.entries] == [Kind.IKE_FAILED]
