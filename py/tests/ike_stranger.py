"""An endpoint that nobody has spoken to yet, and what a stranger may send to it."""

from ike_lab import EAST, WEST, Lab, make_node, path_between

from p4esp.ike.config import Settings

TO_EAST = path_between(EAST, WEST)


def good_opening():
    """A good IKE_SA_INIT request."""
    lab = Lab(fate=lambda _: [])
    lab.west.endpoint.initiate(lab.west_config, 0.0, child="net")
    lab.settle()
    return lab.wire[0][1].data


def fresh_east(**limits):
    """A responder with these limits."""
    return make_node([Lab().east_config], 2, Settings(**limits))


def send(node, data, path=TO_EAST, now=0.0):
    """Hand octets over; what comes back."""
    node.endpoint.receive_datagram(data, path, now)
    return [datagram.data for datagram in node.endpoint.datagrams_to_send(now)]


def untouched(node):
    """Whether it has no IKE SA and nothing to tell."""
    return not node.endpoint.ike_sas and node.endpoint.next_event() is None
