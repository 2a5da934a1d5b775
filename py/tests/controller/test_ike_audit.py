"""What a gateway writes down of its IKE events."""

from ipaddress import ip_address

from ike_lab import EAST, WEST, path_between

from p4esp.controller.ike_events import IkeEvents
from p4esp.ike.events import IkeSaInfo, InternalAddresses
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
