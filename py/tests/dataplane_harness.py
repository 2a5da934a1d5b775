"""A switch with a few forwarding entries behind dp-grpc: the embedded one or bmv2."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import finsy as fy
from bmv2_process import running_bmv2
from p4rt_cases import host
from p4rt_harness import ENTITIES as P
from p4rt_harness import Client, primary, switch_and_primary

from p4esp.switch.service import SwitchOptions

TO_PORT_2, TO_PORT_3, TO_CPU, DROPPED = 0xA2, 0xA3, 0xCC, 0xDD

ENTRIES = [
    host(TO_PORT_2, action=fy.Action("forward", port=2)),
    host(TO_PORT_3, action=fy.Action("forward", port=3)),
    host(TO_CPU, action=fy.Action("punt", reason=1)),
    host(DROPPED, action=fy.Action("drop")),
]


def frame(dst: int, payload: bytes = b"payload") -> bytes:
    """An Ethernet frame of 64 bytes or more; `dst` selects the entry."""
    return (dst.to_bytes(6) + bytes(6) + b"\x90\0" + payload).ljust(64, b"\0")


@asynccontextmanager
async def forwarding_switch(target: str) -> AsyncIterator[tuple[str, Client]]:
    """dp-grpc address and primary client of `target`, embedded or bmv2, program pushed."""
    if target == "bmv2":
        async with running_bmv2() as bmv2, primary(bmv2.grpc_address) as client:
            assert (await client.write([P.insert(entry) for entry in ENTRIES])).code == "OK"
            yield bmv2.dataplane_address, client
    else:
        options = SwitchOptions(dataplane_address="127.0.0.1:0")
        async with switch_and_primary(options) as (switch, client):
            assert (await client.write([P.insert(entry) for entry in ENTRIES])).code == "OK"
            yield switch.dataplane_address, client
