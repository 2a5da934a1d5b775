"""Two gateways whose child may have a format, agreed on by IKE, and an ear on the wire.

What is heard is opened by the independent reference (`format_reference`), with the keys of the SA.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import format_reference
from family_lab import FamilyLab, Shape, section
from lab_helpers import PROGRAM

from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Ipv4, Udp
from p4esp.controller.sa_installer import LiveSa
from p4esp.demo.lab import Lab
from p4esp.demo.plan import INSIDE, Change, gateway_section
from p4esp.demo.site import Site
from p4esp.ipsec.layouts import has_roots

PROTOCOLS = (50, 141, 253, 254)
IMPLICIT = ("aes128gcm16iiv-noesn",)
EXPLICIT = ("aes128gcm16-noesn",)
INTEGRITY = ("aes128gmac-noesn",)
KEYS: dict[str, dict[str, Any]] = {
    "subspaces": {"subs": 16},
    "sub-child": {"subs": 16},
    "spi-block": {"subs": 16},
    "trailer-in-header": {},
    "trailer-in-clear": {},
    "no-trailer": {},
    "header-in-trailer": {},
    "crypt-offset": {"shown": 28},
    "crypt-offset-shown": {"shown": 28},
    "wesp": {},
    "wesp-v2": {"shown": 28},
    "eesp-optimized": {"subs": 16},
    "eesp-full": {"subs": 16, "shown": 28},
}
"""Formats that IKE agrees on, and what a child of each says besides."""
AT_HOME_WITH_IMPLICIT = ("subspaces", "sub-child", "header-in-trailer", "eesp-optimized")
WITHOUT_UDP = ("header-in-trailer", "eesp-optimized", "eesp-full")


def keys_of(name: str, **more: Any) -> dict[str, Any]:
    """The keys of a child's section; `experimental` is the gateway's."""
    return {"format": name, "format_required": True, **KEYS[name], **more}


def proposals_of(name: str) -> tuple[str, ...]:
    """AES-GCM-16-128 with an implicit IV where the format is at home with it; GMAC to be read."""
    if name == "wesp":
        return INTEGRITY
    return IMPLICIT if name in AT_HOME_WITH_IMPLICIT else EXPLICIT


class FormatLab(Lab):
    """A lab in which each gateway's child has keys of its own; `peer` holds those of the peer's
    section, `experimental` is the gateway's.
    """

    def __init__(self, left: dict[str, Any], right: dict[str, Any], change: Change) -> None:
        super().__init__(PROGRAM, change)
        self.children = {"left": left, "right": right}
        self.around: dict[str, Any] = {}
        """What the controller takes from outside, where that is not the lab's usual."""
        self.heard: list[Ipv4] = []
        """The ESP packets on the wire."""

    def config(self) -> ControllerConfig:
        """The controller's configuration."""
        return parse_config({"gateways": dict(map(self._section, self.sites))}, "lab")

    def _section(self, site: Site) -> tuple[str, dict[str, Any]]:
        section = gateway_section(site.plan, site.address, self.change)
        keys = dict(self.children[site.plan.name])
        section["experimental"] = keys.pop("experimental", True)
        section["peers"][0] |= keys.pop("peer", {})
        section["peers"][0]["children"][0] |= keys
        return site.plan.name, section

    def start_controller(self, **changed: Any) -> None:
        """Start a controller, with the store of the one before."""
        super().start_controller(**(self.around | changed))

    def plug(self) -> None:
        """Connect the outside ports, with an ear on the wire."""
        super().plug()
        self.wire.on_wire = self._hear

    def _hear(self, frame: bytes) -> bytes:
        ethernet = Ethernet.parse(frame)
        if ethernet.ether_type == ETHERTYPE_IPV4:
            packet = Ipv4.parse(ethernet.payload)
            if packet.protocol in PROTOCOLS:
                self.heard.append(packet)
        return frame

    def live(self, site: Site) -> LiveSa:
        """The SA of a site, of which there is one."""
        (live,) = self.gateway(site).sas.live.values()
        return live

    def layout(self, site: Site) -> str:
        """What a site's SA has agreed on, in words."""
        return str(self.live(site).record.child.layout)

    def sent_by(self, site: Site) -> list[bytes]:
        """What stands behind the outer IP header of each ESP packet of a site."""
        return [packet.payload for packet in self.heard if packet.src == site.plan.outer]

    def opened(self, site: Site, name: str) -> list[tuple[int, bytes]]:
        """Sub and inner packet of each ESP packet that a site has sent."""
        return [self._open(self.live(site), name, data) for data in self.sent_by(site)]

    @staticmethod
    def _open(live: LiveSa, name: str, data: bytes) -> tuple[int, bytes]:
        child = live.record.child
        sub = 0
        if name in ("subspaces", "sub-child"):
            sub = int.from_bytes(data[4:6], "big")
        elif name == "spi-block":
            sub = int.from_bytes(data[:4], "big") - child.spi_out
        elif name in ("eesp-optimized", "eesp-full"):
            sub = int.from_bytes(data[2:4], "big")
        keys = child.keymat.outbound
        key = (
            format_reference.sub_key(keys.key, sub)
            if has_roots(child.layout)
            else format_reference.Key(keys.key, keys.salt)
        )
        implicit, shown = child.suite.iv_size == 0, child.layout.shown_out
        inner, next_header = format_reference.open_(
            name, key, data, implicit, shown, numbered=child.layout.numbered
        )
        assert next_header == 4
        return sub, inner


def flow_frame(source: Site, target: Site, port: int, payload: bytes) -> bytes:
    """A UDP packet of a flow of its own."""
    packet = Udp(port, 4321, payload).over(source.plan.host, target.plan.host)
    plan = source.plan
    return Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, packet.build()).build()


@asynccontextmanager
async def running_format_lab(
    left: dict[str, Any],
    right: dict[str, Any] | None = None,
    *,
    esp: tuple[str, ...] = IMPLICIT,
    around: dict[str, Any] | None = None,
    **change: Any,
) -> AsyncIterator[FormatLab]:
    """A started lab, stopped at the end; without `right` both sites are alike."""
    lab = FormatLab(left, left if right is None else right, Change(esp=esp, **change))
    lab.around = around or {}
    await lab.start()
    try:
        async with asyncio.timeout(60):
            yield lab
    finally:
        await lab.stop()


class FormatFamilyLab(FamilyLab):
    """A lab of any mode and family whose child has a format."""

    def __init__(self, shape: Shape, keys: dict[str, Any]) -> None:
        super().__init__(shape, Change())
        self.keys = keys

    def config(self) -> ControllerConfig:
        """The controller's configuration."""
        sections = {}
        for site in self.sites:
            made = section(site.plan, site.address, self.shape, self.change)
            made["peers"][0]["children"][0] |= self.keys
            sections[site.plan.name] = made | {"experimental": True}
        return parse_config({"gateways": sections}, "lab")


@asynccontextmanager
async def running_format_family_lab(
    shape: Shape, keys: dict[str, Any]
) -> AsyncIterator[FormatFamilyLab]:
    """A started lab, stopped at the end of the block."""
    lab = FormatFamilyLab(shape, keys)
    await lab.start()
    try:
        async with asyncio.timeout(60):
            yield lab
    finally:
        await lab.stop()
