"""Two ends that agreed on MOBIKE, with several addresses each, and a NAT to put between."""

from ipaddress import ip_address

from ike_lab import EAST, WEST, Lab, east_config, west_config

from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.path import Datagram, Path, UdpAddress

WEST2, EAST2 = ip_address("198.51.100.1"), ip_address("198.51.100.2")
WEST6, EAST6 = ip_address("2001:db8::1"), ip_address("2001:db8::2")
HOME = Path(UdpAddress(WEST, 4500), UdpAddress(EAST, 4500))
AWAY = HOME.between(WEST2, EAST)
UPDATE, COOKIE2 = NotifyType.UPDATE_SA_ADDRESSES, NotifyType.COOKIE2


class MobileLab(Lab):
    """Both ends have several addresses; `dead` ones neither send nor receive."""

    def __init__(self, west=None, east=None, **options):
        super().__init__(
            west or west_config(mobike=True),
            east or east_config(mobike=True, local=None),
            **options,
        )
        self.nodes |= {WEST2: self.west, WEST6: self.west, EAST2: self.east, EAST6: self.east}
        self.dead = set()
        wanted = self.fate
        self.fate = lambda d: (
            [] if {d.path.local.host, d.path.remote.host} & self.dead else wanted(d)
        )

    def ike(self, node):
        """A node's only IKE SA."""
        (info,) = node.endpoint.ike_sas
        return info

    def move(self, path=AWAY):
        self.west.endpoint.update_addresses(self.ike(self.west).spi, path, self.now)
        self.settle()


def outer(node):
    """Addresses and encapsulation of a node's only child SA, as its IKE core knows it."""
    (entry,) = node.endpoint._entries.values()
    (child,) = entry.sa.children
    return child.params.local, child.params.remote, child.params.encapsulation


def protection_of(node):
    (entry,) = node.endpoint._entries.values()
    return entry.sa._state.protection


def opened(lab, datagram):
    """The payloads of a datagram of either side."""
    sender = lab.west if lab.nodes[datagram.path.local.host] is lab.west else lab.east
    receiver = lab.east if sender is lab.west else lab.west
    return protection_of(receiver).open(parse_message(datagram.data[4:]))


def forge(lab, payloads, path, *, message_id=None):
    """An authentic INFORMATIONAL request of west's; east's answer."""
    info, state = lab.ike(lab.west), next(iter(lab.west.endpoint._entries.values())).sa
    number = state._requesting._window.next_id if message_id is None else message_id
    header = Header(info.spi, info.peer_spi, ExchangeType.INFORMATIONAL, True, False, number)
    data = bytes(4) + protection_of(lab.west).seal(header, payloads)
    sent = len(lab.wire)
    lab.deliver(Datagram(data, path))
    return opened(lab, lab.wire[sent][1]), lab.wire[sent][1]


def is_request(datagram):
    return not parse_message(datagram.data[4:]).header.response


def is_liveness(datagram):
    header = parse_header(datagram.data.removeprefix(bytes(4)))
    return header.exchange == ExchangeType.INFORMATIONAL and not header.response


class Nat:
    """In front of west, on every path: `port` is the mapping of 4500."""

    public = ip_address("203.0.113.9")

    def __init__(self, lab):
        self._honest, lab.deliver = lab.deliver, self
        self.port = 61000

    def __call__(self, datagram):
        path = datagram.path
        if path.local.host in (WEST, WEST2):
            self._hidden = path.local.host
            port = self.port if path.local.port == 4500 else 600
            path = Path(UdpAddress(self.public, port), path.remote)
        elif path.remote.host == self.public:
            inner = UdpAddress(self._hidden, 500 if path.remote.port == 600 else 4500)
            path = Path(path.local, inner)
        self._honest(Datagram(datagram.data, path))


def no_nats(path):
    ports = path.local.port.to_bytes(2, "big") + path.remote.port.to_bytes(2, "big")
    data = path.local.host.packed + path.remote.host.packed + ports
    return Notify(NotifyType.NO_NATS_ALLOWED, data)
