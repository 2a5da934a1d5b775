"""Running two gateways and writing down what is to be seen of them."""

from __future__ import annotations

import random
from typing import Any, Final

from p4esp.agenda.model import Evidence, Message, Run
from p4esp.controller.entries import Entry
from p4esp.controller.gateway import Gateway
from p4esp.controller.program import Program
from p4esp.controller.reconcile import SA_TABLES, SPD_TABLES
from p4esp.demo.facts import Traffic
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.demo.traffic import exchange, mixed_packets
from p4esp.ike.constants import ExchangeType, name_of
from p4esp.ike.trace import TraceKind, TraceRecord
from p4esp.service.event_json import child_as_json, ike_as_json

PACKETS: Final = 20
"""That each site sends to the other."""
ESP: Final = ("aes256gcm16-noesn",)


async def observe(program: Program, run: Run) -> Evidence:
    """Start the gateways, do what the run does, and look."""
    change = Change(esp=ESP, amend=run.amend, ike=dict(run.ike))
    async with running_lab(program, change) as lab:
        await run.drive(lab)
        carried = await _traffic(lab) if run.packets else []
        return Evidence(
            ike=_each(lab, _ike_sas),
            children=_each(lab, _child_sas),
            messages=[_message(*sent) for sent in lab.trace if sent[1].kind is TraceKind.SENT],
            tables={site.plan.name: await _entries(lab.gateway(site)) for site in lab.sites},
            journal=[str(entry) for entry in lab.journal.entries],
            sent=sum(way.sent for way in carried),
            delivered=sum(way.identical for way in carried),
            esp_octets=sum(way.esp_octets for way in carried),
        )


async def _traffic(lab: Lab) -> list[Traffic]:
    """Of each direction."""
    rng = random.Random(1)
    return [
        await exchange(lab, source, target, mixed_packets(source, target, PACKETS, rng))
        for source, target in (lab.sites, lab.sites[::-1])
    ]


def _each(lab: Lab, look: Any) -> dict[str, list[dict[str, Any]]]:
    return {site.plan.name: look(lab.gateway(site)) for site in lab.sites}


def _ike_sas(gateway: Gateway) -> list[dict[str, Any]]:
    return [ike_as_json(ike) for ike in gateway.ike.endpoint.ike_sas]


def _child_sas(gateway: Gateway) -> list[dict[str, Any]]:
    return [child_as_json(live.record.child) for live in gateway.sas.live.values()]


def _message(gateway: str, record: TraceRecord) -> Message:
    header = record.header
    if header is None:
        raise ValueError("a message that was sent has no header")
    kind = "response" if header.response else "request"
    name = f"{name_of(ExchangeType, header.exchange)} {kind}"
    return Message(gateway, name, record.size, record.payloads)


async def _entries(gateway: Gateway) -> list[Entry]:
    if gateway.link is None:
        return []
    return [*await gateway.link.session.read(*SPD_TABLES, *SA_TABLES)]
