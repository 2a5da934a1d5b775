"""What a switch without a key gains where an SA shows the first octets of its payload."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import finsy as fy
import pytest
from bmv2_process import SKIP_REASON, find_bmv2, running_bmv2
from p4rt_harness import Client, load_program, primary, switch_and_primary
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from p4esp.formats_lab.gateways import Pair, site_frame
from p4esp.formats_lab.sas import FAR_GATEWAY
from p4esp.formats_lab.vectors import digest_sa
from p4esp.switch.ports.dataplane_client import DataplaneStream, dataplane_stream
from p4esp.switch.service import SwitchOptions

CONFIGS = Path(__file__).parents[3] / "bmv2-configs"
GATEWAY = CONFIGS / "esp_gateway.json"
PROGRAM = load_program("exposed_flows", CONFIGS)
IN, OUT = 1, 2
DNS, WEB = 5, 6
VOICE = 46
TARGETS = [
    "embedded",
    pytest.param("bmv2", marks=pytest.mark.skipif(find_bmv2() is None, reason=SKIP_REASON)),
]
SHOWN = {
    ("crypt-offset", False): "behind_iv",
    ("crypt-offset", True): "behind_number",
    ("crypt-offset-shown", False): "behind_iv_and_information",
    ("crypt-offset-shown", True): "behind_information",
}
"""Where the inner packet begins, by format and whether the IV is implicit."""


class Middlebox:
    """A switch between two ports, and its wire."""

    def __init__(self, client: Client, wire: DataplaneStream) -> None:
        self._client = client
        self._wire = wire

    async def insert(self, *entries: fy.P4TableEntry) -> None:
        outcome = await self._client.write([PROGRAM.insert(entry) for entry in entries])
        assert outcome.code == "OK", outcome

    async def passes(self, frame: bytes) -> Packet:
        """A frame is forwarded; what comes out."""
        await self._wire.send(IN, frame, 1)
        response = await self._wire.receive()
        assert response is not None
        assert response.port == OUT
        return Ether(response.packet)

    async def counted(self, flow: int) -> int:
        """Packets of a flow."""
        query = PROGRAM.entity(fy.P4CounterEntry("exposed_flows", index=flow))
        (entity,) = await self._client.read(query)
        return entity.counter_entry.data.packet_count


@asynccontextmanager
async def connected(target: str) -> AsyncIterator[tuple[Client, str]]:
    if target == "bmv2":
        async with running_bmv2() as bmv2, primary(bmv2.grpc_address, PROGRAM) as client:
            yield client, bmv2.dataplane_address
    else:
        options = SwitchOptions(dataplane_address="127.0.0.1:0")
        async with switch_and_primary(options, PROGRAM) as (switch, client):
            yield client, switch.dataplane_address


@pytest.fixture(params=TARGETS)
async def middlebox(request) -> AsyncIterator[Middlebox]:
    """Counts DNS, marks the web."""
    async with (
        connected(request.param) as (client, address),
        dataplane_stream(address, 1) as wire,
    ):
        made = Middlebox(client, wire)
        way = fy.P4TableAction("forward_to", port=OUT)
        await made.insert(
            fy.P4TableEntry("wire", match=fy.P4TableMatch(ingress_port=IN), action=way),
            rule(fy.P4TableAction("count", flow=DNS), 17, 53),
            rule(fy.P4TableAction("mark", flow=WEB, dscp=VOICE), 6, 443),
        )
        yield made


def rule(action: fy.P4TableAction, protocol: int, port: int) -> fy.P4TableEntry:
    match = fy.P4TableMatch(protocol=protocol, dport=(port, port))
    return fy.P4TableEntry("rules", match=match, action=action, priority=10)


def exposed(spi: int, action: str) -> fy.P4TableEntry:
    match = fy.P4TableMatch(dst=str(FAR_GATEWAY), spi=spi)
    return fy.P4TableEntry("exposed", match=match, action=fy.P4TableAction(action))


def inner(layer4: Packet, **fields: object) -> bytes:
    """A packet between the sites, padded to what all words of the program need."""
    packet = IP(src="10.1.0.1", dst="10.2.0.2", **fields) / layer4
    return bytes(packet / Raw(bytes(max(0, 64 - len(packet)))))


def sealed(name: str, packet: bytes, *, implicit_iv: bool = False) -> tuple[bytes, Pair, int]:
    """The frame on the wire, the gateways, and the SPI."""
    sa = digest_sa(name, implicit_iv)
    pair = Pair(GATEWAY, [sa])
    (frame,) = pair.seal([site_frame(packet)])
    return frame, pair, sa.spi


@pytest.mark.parametrize(("name", "implicit_iv"), SHOWN)
async def test_flows_that_an_sa_shows_are_counted_and_marked_without_its_key(
    middlebox: Middlebox, name: str, implicit_iv: bool
) -> None:
    for layer4, flow, dscp in ((UDP(dport=53), DNS, 0), (TCP(dport=443), WEB, VOICE)):
        frame, pair, spi = sealed(name, inner(layer4), implicit_iv=implicit_iv)
        if flow == DNS:
            await middlebox.insert(exposed(spi, SHOWN[name, implicit_iv]))
        out = await middlebox.passes(frame)
        assert await middlebox.counted(flow) == 1
        assert out[IP].tos >> 2 == dscp
        assert IP(bytes(out[IP])).chksum == IP(remade(out)).chksum
        pair.open([bytes(out)])


def remade(frame: Packet) -> bytes:
    """The packet with a checksum that scapy makes."""
    packet = frame[IP].copy()
    del packet.chksum
    return bytes(packet)


async def test_an_sa_that_shows_nothing_passes_unread(middlebox: Middlebox) -> None:
    frame, pair, spi = sealed("esp", inner(UDP(dport=53)))
    for place in ("nothing known", "behind_iv"):
        if place != "nothing known":
            await middlebox.insert(exposed(spi, place))
        assert bytes(await middlebox.passes(frame)) == frame
        assert await middlebox.counted(DNS) == 0
    pair.open([frame])


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(inner(UDP(dport=53), frag=3), id="later fragment"),
        pytest.param(inner(ICMP()), id="no ports"),
    ],
)
async def test_ports_are_not_read_where_there_are_none(middlebox: Middlebox, packet: bytes) -> None:
    frame, _, spi = sealed("crypt-offset", packet)
    await middlebox.insert(exposed(spi, "behind_iv"))
    assert bytes(await middlebox.passes(frame)) == frame
    assert await middlebox.counted(DNS) == 0


async def test_ports_behind_options_are_not_read(middlebox: Middlebox) -> None:
    """Where ports would stand without options, the options say 53."""
    packet = IP(src="10.1.0.1", dst="10.2.0.2", options=IPOption(b"\x88\x04\x00\x35"))
    esp = bytes.fromhex("00001001 00000001") + bytes(8) + bytes(packet / UDP(dport=80)) + bytes(64)
    frame = bytes(Ether(type=0x0800) / IP(dst=str(FAR_GATEWAY), proto=50) / Raw(esp))
    await middlebox.insert(exposed(0x1001, "behind_iv"))
    assert bytes(await middlebox.passes(frame)) == frame
    assert await middlebox.counted(DNS) == 0


async def test_the_receiver_finds_out_when_somebody_changes_what_is_shown(
    middlebox: Middlebox,
) -> None:
    frame, pair, spi = sealed("crypt-offset", inner(UDP(dport=80)))
    await middlebox.insert(exposed(spi, "behind_iv"))
    at = 14 + 20 + 16 + 22
    forged = frame[:at] + (53).to_bytes(2, "big") + frame[at + 2 :]
    assert bytes(await middlebox.passes(forged)) == forged
    assert await middlebox.counted(DNS) == 1, "to those without a key it is a hint"
    with pytest.raises(Exception, match="BAD_ICV"):
        pair.open([forged])


async def test_a_short_packet_passes_unread(middlebox: Middlebox) -> None:
    short = replace_total(sealed("crypt-offset", inner(UDP(dport=53)))[0], 20 + 43)
    await middlebox.insert(exposed(0x1001, "behind_iv"))
    assert bytes(await middlebox.passes(short)) == short
    assert await middlebox.counted(DNS) == 0


def replace_total(frame: bytes, octets: int) -> bytes:
    packet = Ether(frame)
    cut = packet[IP].copy()
    cut.remove_payload()
    cut.len, cut.chksum = octets, None
    return frame[:14] + bytes(cut)[:20] + frame[34 : 14 + octets]
