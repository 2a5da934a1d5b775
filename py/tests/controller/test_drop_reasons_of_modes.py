"""The drop reasons of transport mode, BEET and WESP, over a lab whose entries are bent to them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from lab_helpers import PROGRAM, host_frame
from lab_helpers import drops as all_drops
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from p4esp.controller.entries import Entry, modifies
from p4esp.controller.numbers import Mode, Wrap
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import OUTSIDE
from p4esp.demo.site import Site

FLAGS = 15
"""Where the descriptor's flags are in a frame of the crypto port."""


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with running_lab(PROGRAM) as running, asyncio.timeout(20):
        await running.tunnel_up()
        yield running


def drops(site: Site) -> dict[str, int]:
    """Drops of packets that are not ours: the first messages of IKE wait for a neighbour."""
    return {name: n for name, n in all_drops(site).items() if name != "NO_NEIGHBOUR"}


async def bend(lab: Lab, site: Site, table: str, **args: int) -> None:
    """Give the only SA of a site other arguments in one direction."""
    gateway = lab.gateway(site)
    (live,) = gateway.sas.live.values()
    assert gateway.link is not None
    entry = live.entries.outbound if table == "sa_out" else live.entries.inbound[0]
    await gateway.link.writer.write(modifies([with_args(entry, args)]))


def with_args(entry: Entry, args: dict[str, int]) -> Entry:
    return replace(entry, args=tuple(sorted((dict(entry.args) | args).items())))


def send(lab: Lab, packet: bytes | None = None) -> None:
    frame = Ethernet.parse(host_frame(lab.left, lab.right))
    lab.left.host.send(replace(frame, payload=packet or frame.payload).build())
    lab.wire.deliver()


async def test_not_in_sa(lab: Lab) -> None:
    await bend(lab, lab.left, "sa_out", mode=Mode.TRANSPORT)
    send(lab)
    assert drops(lab.left) == {"NOT_IN_SA": 1}


@pytest.mark.parametrize("mode", [Mode.TRANSPORT, Mode.BEET_V4])
async def test_inner_fragment(lab: Lab, mode: Mode) -> None:
    await bend(lab, lab.left, "sa_out", mode=mode)
    ends = {"src": str(lab.left.plan.host), "dst": str(lab.right.plan.host)}
    for fields in ({"flags": "MF"}, {"frag": 4}):
        send(lab, bytes(IP(**ends, proto=17, **fields) / Raw(bytes(32))))
    assert drops(lab.left) == {"INNER_FRAGMENT": 2}


async def test_long_headers(lab: Lab) -> None:
    await bend(lab, lab.left, "sa_out", iv_len=255 - 20 - 8)
    send(lab)
    assert "LONG_HEADERS" not in drops(lab.left)
    before = drops(lab.left)
    await bend(lab, lab.left, "sa_out", iv_len=255 - 20 - 8 + 1)
    send(lab)
    assert drops(lab.left) == before | {"LONG_HEADERS": 1}


async def test_encap_mismatch(lab: Lab) -> None:
    await bend(lab, lab.right, "sa_in", wrap=Wrap.ENCRYPTED)
    send(lab)
    assert drops(lab.right) == {"ENCAP_MISMATCH": 1}


def beet_packet(lab: Lab, pseudo_header: bytes) -> bytes:
    """What scapy seals for the right site with next header 94."""
    (live,) = lab.gateway(lab.left).sas.live.values()
    keys = live.record.child.keymat.outbound
    sa = SecurityAssociation(
        *(ESP, live.record.child.spi_out),
        crypt_algo="AES-GCM",
        crypt_key=keys.key + keys.salt,
        esn_en=True,
    )
    ends = {"src": str(lab.left.plan.outer), "dst": str(lab.right.plan.outer)}
    packet = sa.encrypt(IP(**ends, proto=94) / Raw(pseudo_header), esn_en=True, esn=0)
    plan = lab.right.plan
    macs = (plan.mac(OUTSIDE), lab.left.plan.mac(OUTSIDE))
    return Ethernet(*macs, ETHERTYPE_IPV4, bytes(packet)).build()


def opened(site: Site, request: bytes) -> bytes | None:
    """The engine's answer to a request whose flags do not tell the mode."""
    mode = request[FLAGS] & 0x30
    plain = request[:FLAGS] + bytes((request[FLAGS] ^ mode,)) + request[FLAGS + 1 :]
    reply = site.engine.engine.process(plain)
    return reply and reply[:FLAGS] + bytes((reply[FLAGS] | mode,)) + reply[FLAGS + 1 :]


@pytest.mark.parametrize(
    "pseudo_header",
    [b"\x11\0\x04\0" + bytes(12), b"\x5e\x01\x04\0" + bytes(12), b"\x11\x0c\x04\0" + bytes(4)],
    ids=["options of no length", "of itself", "cut short"],
)
async def test_bad_beet_ph(lab: Lab, pseudo_header: bytes) -> None:
    """BET-03. The engine opens as for a tunnel: the mode is the pipeline's affair."""
    await bend(lab, lab.right, "sa_in", mode=Mode.BEET_V4)
    lab.right.engine.tamper = lambda request, _: opened(lab.right, request)
    lab.right.device.inject(OUTSIDE, beet_packet(lab, pseudo_header))
    assert drops(lab.right) == {"BAD_BEET_PH": 1}
