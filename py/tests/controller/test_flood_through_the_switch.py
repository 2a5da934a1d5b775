"""Openings of strangers through the switch: the pipeline's meters keep them off established SAs."""

import asyncio
import random

from lab_helpers import PROGRAM, drops, passes_soon
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import OUTSIDE
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import encode_clear
from p4esp.ike.codec.payloads import Nonce
from p4esp.ike.constants import NO_SPI, ExchangeType
from p4esp.service.journal import Kind

BURST = 40
SOURCE = random.Random(5)


def opening(lab: Lab) -> bytes:
    """An IKE_SA_INIT request for the left gateway from an address that nobody has."""
    plan = lab.left.plan
    spi = SOURCE.randbytes(8)
    header = Header(spi, NO_SPI, ExchangeType.IKE_SA_INIT, True, False, 0)
    message = encode_clear(header, [Nonce(SOURCE.randbytes(32))])
    spoofed = f"203.0.{SOURCE.randrange(256)}.{SOURCE.randrange(256)}"
    frame = (
        Ether(src="02:00:00:00:00:99", dst=":".join(f"{o:02x}" for o in plan.mac(OUTSIDE)))
        / IP(src=spoofed, dst=str(plan.outer))
        / UDP(sport=500, dport=500)
        / message
    )
    return bytes(frame)


async def flood(lab: Lab) -> None:
    """As much as the switch takes, with room for others between bursts."""
    frames = [opening(lab) for _ in range(BURST)]
    while True:
        lab.left.device.inject_burst(OUTSIDE, frames)
        await asyncio.sleep(0.005)


async def test_a_rekey_runs_to_its_end_in_time_under_a_flood_of_openings() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(30):
        await lab.tunnel_up()
        (spi,) = lab.gateway(lab.left).sas.live
        flooding = asyncio.create_task(flood(lab))
        await asyncio.sleep(0.1)
        lab.gateway(lab.left).rekey_child(spi)
        async with asyncio.timeout(10):
            await asyncio.gather(*(lab.happened(site, Kind.SA_REMOVED) for site in lab.sites))
        assert not flooding.done()
        flooding.cancel()
        (new,) = lab.gateway(lab.left).sas.live
        assert new != spi
        await passes_soon(lab, lab.left, lab.right)
        assert drops(lab.left)["PUNT_LIMITED"] > 0
        assert len(lab.gateway(lab.left).ike.endpoint.ike_sas) <= 20
