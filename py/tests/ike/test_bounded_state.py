"""What an authenticated peer may make us keep is bounded too."""

from ike_lab import EAST, Lab, toward
from ike_ledger import Ask, ike_of, live

from p4esp.ike.codec.payloads import Delete
from p4esp.ike.constants import ExchangeType, ProtocolId
from p4esp.ike.tasks.informational import MAX_EARLY_DELETES


def test_deletes_of_child_sas_nobody_knows_yet_are_bounded():
    """East waits for the answer to a rekey, and meanwhile west deletes 5,000 SPIs."""
    lab = Lab()
    lab.connect()
    lab.fate = lambda datagram: [0.01] if toward(EAST, datagram) else []
    (spi,) = live(lab.east)
    lab.east.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    spis = tuple(number.to_bytes(4, "big") for number in range(1000, 6000))
    entry = lab.west.endpoint._entries[ike_of(lab.west)]
    entry.sa._start(Ask(ExchangeType.INFORMATIONAL, Delete(ProtocolId.ESP, spis)))
    lab.west.endpoint._settle(entry, lab.now)
    lab.settle()
    state = lab.east.endpoint._entries[ike_of(lab.east)].sa._state
    assert len(state.early_deletes) == MAX_EARLY_DELETES
