"""Sample SAs for tests of store and controller."""

from dataclasses import replace
from ipaddress import IPv4Address

from p4esp.ipsec.algorithms import AES256_GCM
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys, Keymat, Mode
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.store import Placement, SaRecord, SaState


def keys(seed: int) -> DirectionKeys:
    """Key and salt of recognisable octets."""
    return DirectionKeys(bytes([seed]) * 32, bytes([seed + 1]) * 4)


CHILD = ChildSaParams(
    peer="right",
    name="net",
    spi_in=0x11111111,
    spi_out=0x22222222,
    suite=AES256_GCM,
    esn=True,
    mode=Mode.TUNNEL,
    keymat=Keymat(keys(0xA0), keys(0xB0)),
    local_ts=(TrafficSelector.of_network("10.1.0.0/16"),),
    remote_ts=(TrafficSelector.of_network("10.2.0.0/16"),),
    local=IPv4Address("192.0.2.1"),
    remote=IPv4Address("192.0.2.2"),
    encapsulation=None,
    initiator=True,
    local_id=Identity.parse("left.example"),
    remote_id=Identity.parse("right.example"),
)
PLACE = Placement(
    sa_out=3,
    sa_in=4,
    generation_out=5,
    generation_in=6,
    space_out=7,
    space_in=8,
    window=1024,
    cell_base=64,
    cells=64,
)


def record(number: int = 0, state: SaState = SaState.INSTALLED) -> SaRecord:
    """A record whose numbers differ from those of other `number`s."""
    child = replace(CHILD, spi_in=CHILD.spi_in + number, spi_out=CHILD.spi_out + number)
    place = replace(
        PLACE,
        sa_out=PLACE.sa_out + number,
        sa_in=PLACE.sa_in + number,
        space_out=PLACE.space_out + number,
        space_in=PLACE.space_in + number,
        cell_base=PLACE.cell_base + 64 * number,
    )
    return SaRecord("left", state, 1, child, place)
