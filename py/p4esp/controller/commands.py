"""What a running controller can be told over its control socket."""

from collections.abc import Mapping
from string import hexdigits
from typing import Final

from p4esp.controller.esp_ping import MAX_DATA
from p4esp.controller.gateway import Gateway
from p4esp.controller.ping_path import peer_address
from p4esp.controller.sealed_ping import MAX_DATA as MAX_SEALED_DATA
from p4esp.controller.sealed_ping import check_way, require_next_header, sa_for
from p4esp.controller.target import MAX_DUMMIES, MAX_DUMMY
from p4esp.ike.errors import CommandError
from p4esp.ipsec.layouts import form_out
from p4esp.ipsec.sa import ChildSaParams, Mode
from p4esp.service.control import Command
from p4esp.service.event_hub import EventHub
from p4esp.service.event_json import child_as_json, event_as_json, ike_as_json
from p4esp.service.outcomes import Commander
from p4esp.service.told import deletes_as_json, told_by

SPI_DIGITS: Final = 8
MAX_WAIT: Final = 60_000
"""Milliseconds that a ping may wait for its reply."""


class ControllerCommands:
    """Each command takes strings by name and returns JSON-ready values.

    An SA is named by the SPI of either direction, in hexadecimal.
    """

    def __init__(self, gateways: Mapping[str, Gateway], hub: EventHub) -> None:
        self._gateways = gateways
        self._hub = hub

    @property
    def table(self) -> dict[str, Command]:
        """The commands by name."""
        return {
            "status": self.status,
            "rekey": self.rekey,
            "delete": self.delete,
            "rekey-ike": self.rekey_ike,
            "dummy": self.dummy,
            "ping": self.ping,
            "sealed-ping": self.sealed_ping,
        }

    async def status(self) -> object:
        """Of all gateways: whether switch and engine are in use, and the SAs as IKE knows them."""
        return {
            name: {
                "connected": gateway.link is not None,
                "engine": gateway.link is not None and gateway.link.health.offered,
                "ike_sas": [ike_as_json(ike) for ike in gateway.connections.established.values()],
                "child_sas": [child_as_json(child) for child in gateway.sas.live.children()],
                **deletes_as_json(gateway.connections),
            }
            for name, gateway in self._gateways.items()
        }

    async def rekey(self, spi: str) -> object:
        """Replace an SA by a fresh one; returns once the new one is agreed on."""
        gateway, child = self._find(spi)
        return event_as_json(await self._commander(gateway).rekey_child(child))

    async def delete(
        self, spi: str, reason: str = "", text: str = "", language: str = "", downtime: str = ""
    ) -> object:
        """Delete an SA at both ends, and tell the peer why. One that is to be up is soon made
        again.
        """
        gateway, child = self._find(spi)
        told = told_by(reason, text, language, downtime)
        return event_as_json(await self._commander(gateway).delete_child(child.spi_in, told))

    async def rekey_ike(self, spi: str) -> object:
        """Replace an IKE SA, named by our SPI, by a fresh one that takes over its child SAs."""
        for gateway in self._gateways.values():
            for own_spi in gateway.connections.established:
                if own_spi.hex() == spi.lower():
                    return event_as_json(await self._commander(gateway).rekey_ike(own_spi))
        sas = [own for g in self._gateways.values() for own in g.connections.established]
        accepted = ", ".join(own.hex() for own in sas) or "none is up"
        raise CommandError(f"no IKE SA has SPI {spi}; accepted: {accepted}")

    async def dummy(self, spi: str, count: str = "1", octets: str = "64") -> object:
        """Send packets on an SA that the peer discards (RFC 4303 2.6)."""
        gateway, child = self._find(spi)
        if child.mode is not Mode.TUNNEL:
            raise CommandError(f"SA {spi} is in {child.mode} mode; accepted: one in tunnel mode")
        require_next_header(spi, form_out(child.layout))
        number = within("count", count, 1, MAX_DUMMIES)
        size = within("octets", octets, 1, MAX_DUMMY)
        if gateway.link is None:
            raise CommandError("the switch is not connected; accepted: when it is up again")
        index = gateway.sas.live[child.spi_in].record.placement.sa_out
        for _ in range(number):
            await gateway.link.session.send_dummy(index, size)
        return {"event": "dummies", "spi": f"{child.spi_out:08x}", "sent": number, "octets": size}

    async def ping(
        self, gateway: str, address: str, number: str, size: str = "56", wait: str = "1000"
    ) -> object:
        """Send an ESP ping and wait some milliseconds for its reply; `ms` is null without one."""
        asked, octets = self._gateway(gateway), within("size", size, 0, MAX_DATA)
        seconds, index = _waiting(wait), within("number", number, 0, 0xFFFF)
        return _reply(index, octets, await asked.ping(address, index, octets, seconds))

    async def sealed_ping(
        self,
        gateway: str,
        address: str,
        *,
        number: str,
        size: str = "56",
        wait: str = "1000",
        spi: str = "",
        back: str = "",
    ) -> object:
        """The same inside an SA with the peer: the newest, or the one that `spi` names. `back`: the
        SPI under which we want the reply, one of ours with that peer. `announced` of the answer:
        whether the peer has said that it answers such pings.
        """
        asked, octets = self._gateway(gateway), within("size", size, 0, MAX_SEALED_DATA)
        seconds, index = _waiting(wait), within("number", number, 0, 0xFFFF)
        sas, remote = asked.sas.live, peer_address(address)
        live, wanted = sa_for(sas, remote, _spi("spi", spi)), _spi("back", back)
        way = live if wanted is None else sa_for(sas, remote, wanted)
        check_way(live, way)
        named = None if wanted is None else way.record.child.spi_in
        taken = await asked.sealed_ping(live, index, octets, named, seconds)
        child = live.record.child
        about = {"spi": f"{child.spi_out:08x}", "announced": asked.announces_pings(child)}
        return _reply(index, octets, taken) | about

    def _gateway(self, name: str) -> Gateway:
        if name not in self._gateways:
            raise CommandError(f"no gateway {name!r}; accepted: {', '.join(self._gateways)}")
        return self._gateways[name]

    def _commander(self, gateway: Gateway) -> Commander:
        return Commander(gateway.ike, self._hub)

    def _find(self, text: str) -> tuple[Gateway, ChildSaParams]:
        known = [(g, child) for g in self._gateways.values() for child in g.sas.live.children()]
        for gateway, child in known:
            if text.lower() in (f"{child.spi_in:08x}", f"{child.spi_out:08x}"):
                return gateway, child
        accepted = ", ".join(f"{child.spi_in:08x}" for _, child in known) or "none is up"
        raise CommandError(f"no SA has SPI {text}; accepted: {accepted}")


def _waiting(text: str) -> float:
    return within("wait", text, 1, MAX_WAIT) / 1000


def _reply(number: int, octets: int, seconds: float | None) -> dict[str, object]:
    return {"number": number, "octets": octets, "ms": None if seconds is None else seconds * 1000}


def _spi(name: str, text: str) -> int | None:
    """An SPI in hexadecimal; None for no text."""
    if not text:
        return None
    if len(text) > SPI_DIGITS or not set(text) <= set(hexdigits):
        raise CommandError(f"{name} {text!r}; accepted: an SPI of up to 8 hexadecimal digits")
    return int(text, 16)


def within(name: str, text: str, low: int, high: int) -> int:
    """A number that a command was given; CommandError when it is none or out of range."""
    number = text.isascii() and text.isdigit() and len(text) <= 10
    if not number or not low <= int(text) <= high:
        raise CommandError(f"{name} {text!r}; accepted: {low}..{high}")
    return int(text)
