"""An IKE SA is rekeyed while its peer moves: nobody is left behind (RFC 4555 3.5)."""

from ipaddress import ip_address

import pytest
from ike_lab import EAST, LATENCY, WEST, Lab, east_config, path_between, toward, west_config

from p4esp.ike.events import IkeRekeyed, PathChanged

AWAY = ip_address("198.51.100.1")


@pytest.mark.parametrize("rekeyer", ["west", "east"])
@pytest.mark.parametrize("lost", ["update", "check"])
def test_child_sas_follow_a_move_that_crosses_a_rekey_of_the_ike_sa(rekeyer, lost):
    lab = Lab(west_config(mobike=True), east_config(mobike=True))
    lab.nodes[AWAY] = lab.west
    ike = lab.connect()
    there = EAST if lost == "update" else AWAY
    lab.fate = lambda datagram: [] if toward(there, datagram) else [LATENCY]
    lab.west.endpoint.update_addresses(ike, path_between(AWAY, EAST, 4500), lab.now)
    lab.settle()
    lab.fate = lambda datagram: [LATENCY]
    node = getattr(lab, rekeyer)
    node.endpoint.rekey_ike(node.endpoint.ike_sas[0].spi, lab.now)
    lab.run(30)
    for node, ends in ((lab.west, (AWAY, EAST)), (lab.east, (EAST, AWAY))):
        assert node.one(IkeRekeyed)
        assert node.one(PathChanged).new == path_between(*ends, 4500)
        (ike_sa,) = node.endpoint.ike_sas
        assert ike_sa.path == path_between(*ends, 4500)
        (params,) = [c.params for e in node.endpoint._entries.values() for c in e.sa.children]
        assert (params.local, params.remote) == ends
    assert WEST not in {params.local, params.remote}
