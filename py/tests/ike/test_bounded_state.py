"""What an authenticated peer may make us keep is bounded too."""

import pytest
from ike_lab import EAST, Lab, toward
from ike_ledger import Ask, ike_of, live

from p4esp.ike.codec.payloads import Delete, VendorId
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import IkeEstablished
from p4esp.ike.memory import Memory
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


def fragments_of_a_request(**limits):
    """A lab in which east lacks the last fragment of a request, and that fragment."""
    lab = Lab(settings=Settings(fragment_size=576, **limits))
    lab.connect()
    held = []
    lab.fate = lambda datagram: held.append(datagram) or []
    entry = lab.west.endpoint._entries[ike_of(lab.west)]
    ballast = [VendorId(bytes(1000)), VendorId(bytes(500))]
    entry.sa._start(Ask(ExchangeType.INFORMATIONAL, *ballast))
    lab.west.endpoint._settle(entry, lab.now)
    lab.settle()
    *others, last = held
    lab.fate = lambda _: [0.01]
    for datagram in others:
        lab.deliver(datagram)
    return lab, last


def memory_of(node):
    return node.endpoint._env.fragments


def test_fragments_count_while_they_wait_and_no_longer():
    lab, last = fragments_of_a_request()
    assert 1000 < memory_of(lab.east).used < 2500
    lab.deliver(last)
    lab.settle()
    assert memory_of(lab.east).used == 0


@pytest.mark.parametrize("way", ["timeout", "end of the IKE SA"])
def test_fragments_that_wait_in_vain_are_given_back(way):
    lab, _ = fragments_of_a_request()
    lab.fate = lambda _: []
    if way == "timeout":
        lab.east.endpoint.handle_timer(lab.now + 31.0)
    else:
        lab.east.endpoint.delete_ike(ike_of(lab.east), lab.now)
        lab.run(400.0)
    assert memory_of(lab.east).used == 0


def test_beyond_the_memory_of_all_ike_sas_fragments_are_dropped():
    lab, _ = fragments_of_a_request(max_fragment_memory=1000)
    assert 0 < memory_of(lab.east).used <= 1000
    assert lab.east.endpoint.drops[Drop.FRAGMENT] >= 1
    assert len(lab.east.endpoint.ike_sas) == 1


def test_half_of_the_memory_is_out_of_reach_for_strangers():
    memory = Memory(100)
    lease = memory.lease(list, trusted=True)
    lease.extend(50)
    assert memory.make_room(50, trusted=True)
    assert not memory.make_room(51, trusted=True)
    assert not memory.make_room(1, trusted=False)
    del lease
    assert memory.make_room(50, trusted=False)


def test_of_strangers_who_was_first_to_begin_gives_way_and_nobody_who_is_trusted():
    """Else a few who never end their messages would keep all others from beginning theirs."""
    memory, held = Memory(100), [[n] for n in range(4)]
    leases = [memory.lease(one.clear, trusted=n == 0) for n, one in enumerate(held)]
    for lease in leases[:3]:
        lease.extend(15)
    assert memory.make_room(15, trusted=False)
    assert held == [[0], [], [2], [3]]
    assert [lease.revoked for lease in leases] == [False, True, False, False]
    assert memory.used == 30
    assert not memory.make_room(90, trusted=True)
    assert held == [[0], [], [], []]


def test_a_stranger_that_gave_way_may_begin_again():
    lab = Lab(settings=Settings(fragment_size=220))
    lab.fate = lambda datagram: [] if len(lab.wire) > 2 else [0.01]
    lab.connect()
    fragments = [datagram for _, datagram in lab.wire[2:]]
    lab.fate, memory = lambda _: [0.01], memory_of(lab.east)
    lab.deliver(fragments[0])
    assert memory.used > 0
    assert memory.make_room(memory._limit // 2, trusted=False)
    assert memory.used == 0
    for fragment in fragments:
        lab.deliver(fragment)
    lab.settle()
    assert lab.east.one(IkeEstablished)
    assert memory.used == 0
