"""Two gateways whose child is one UDP flow, or the traffic of two sites, and compresses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from format_lab import IMPLICIT, FormatLab

from p4esp.controller.packets import ETHERTYPE_IPV4, Ethernet, Udp
from p4esp.demo.plan import INSIDE, Change
from p4esp.demo.site import Site

LEFT_PORT, RIGHT_PORT = 4660, 53
PORTS = {"left": LEFT_PORT, "right": RIGHT_PORT}
DIET: dict[str, Any] = {"format": "diet-esp", "format_required": True}
WINDOW = {"grace": 0.0, "window": 64}


class DietLab(FormatLab):
    """With `flow` the selectors are those of one flow, else those of two prefixes of 24 bits."""

    flow = True

    def _section(self, site: Site) -> tuple[str, dict[str, Any]]:
        name, section = super()._section(site)
        (child,), (policy,) = section["peers"][0]["children"], section["policies"]
        child |= self.selectors(site)
        policy |= self.selectors(site)
        return name, section

    def selectors(self, site: Site) -> dict[str, Any]:
        """What a child, and its rule, are for."""
        ends = site.plan.host, self.other(site).plan.host
        if not self.flow:
            local, remote = (f"{str(end).rpartition('.')[0]}.0/24" for end in ends)
            return {"local": [local], "remote": [remote]}
        local_port, remote_port = PORTS[site.plan.name], PORTS[self.other(site).plan.name]
        addresses = {"local": [f"{ends[0]}/32"], "remote": [f"{ends[1]}/32"]}
        return {**addresses, "protocol": 17, "local_port": local_port, "remote_port": remote_port}

    def other(self, site: Site) -> Site:
        """The site at the other end."""
        return self.right if site is self.left else self.left


def frame_of(lab: DietLab, source: Site, payload: bytes) -> bytes:
    """A packet of the flow."""
    target, plan = lab.other(source), source.plan
    ports = PORTS[plan.name], PORTS[target.plan.name]
    packet = Udp(*ports, payload).over(plan.host, target.plan.host)
    return Ethernet(plan.mac(INSIDE), plan.host_mac, ETHERTYPE_IPV4, packet.build()).build()


@asynccontextmanager
async def running_diet_lab(
    left: dict[str, Any], right: dict[str, Any] | None = None, *, flow: bool = True, **change: Any
) -> AsyncIterator[DietLab]:
    """A started lab, stopped at the end; without `right` both sites are alike."""
    change = {"esp": IMPLICIT, "sa": WINDOW} | change
    lab = DietLab(left, left if right is None else right, Change(**change))
    lab.flow = flow
    await lab.start()
    try:
        yield lab
    finally:
        await lab.stop()
