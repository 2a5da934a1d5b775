"""A gateway is told of a resolver and leads to it: two gateways on embedded switches (RFC 9464)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from lab_helpers import PROGRAM

from p4esp.controller.packets import Ethernet, Udp
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import LEFT, RIGHT, Change
from p4esp.demo.traffic import host_frame
from p4esp.service.journal import Kind

ASSIGNED = IPv4Address("10.1.0.1")
"""The first address of the pool."""
DNS_OVER_TLS = 853


def asking(name: str, section: dict[str, Any]) -> None:
    """Left asks; the host behind right is the resolver."""
    (peer,) = section["peers"]
    if name == LEFT.name:
        peer |= {"request_addresses": [4], "request_encrypted_dns": True}
        peer["children"][0]["local"] = section["policies"][0]["local"] = [f"{ASSIGNED}/32"]
        return
    resolver = {"name": "dns.right.example", "addresses": [str(RIGHT.host)], "alpn": ["dot"]}
    peer["assign"] = {
        "pools": [LEFT.network],
        "resolvers": [resolver],
        "domains": ["right.example"],
    }


async def asked(lab: Lab, source: IPv4Address) -> list[bytes]:
    """What the resolver gets of a query from an address of left's network."""
    query = Udp(40000, DNS_OVER_TLS, b"a query").over(source, RIGHT.host)
    lab.left.host.send(host_frame(lab.left, query))
    await asyncio.sleep(0)
    lab.wire.deliver()
    return [Ethernet.parse(frame).payload for frame in lab.right.host.receive()]


async def test_queries_go_through_the_tunnel_from_the_assigned_address_alone() -> None:
    async with running_lab(PROGRAM, Change(amend=asking)) as lab:
        await lab.tunnel_up()
        told = await lab.happened(lab.left, Kind.ADDRESSES)
        assert told.text == (
            "10.1.0.1, encrypted dns dns.right.example dot 10.2.0.10, for right.example"
        )
        (got,) = await asked(lab, ASSIGNED)
        query = Udp(40000, DNS_OVER_TLS, b"a query").over(ASSIGNED, RIGHT.host)
        assert got == replace(query, ttl=query.ttl - 2).build()
        assert await asked(lab, LEFT.host) == []
