"""What becomes of SAs in the switch when the peer says why it deletes them, or proves its loss."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from lab_helpers import PROGRAM, passes, passes_soon, sa_tables

from p4esp.controller.commands import ControllerCommands
from p4esp.controller.config import ControllerConfig, parse_config
from p4esp.demo.lab import Lab
from p4esp.demo.plan import Change, gateway_section
from p4esp.demo.site import Site
from p4esp.ike.endpoint import IkeEndpoint, directory
from p4esp.ike.events import DownReason
from p4esp.service.journal import Kind

EXTENSIONS = {"delete_reason": True, "crash_detection": True, "resumption": True}


class ExtendedLab(Lab):
    """Both gateways with the extensions of this file; left brings the child up."""

    def config(self) -> ControllerConfig:
        sections: dict[str, Any] = {}
        for site in self.sites:
            section = gateway_section(site.plan, site.address, self.change)
            section["peers"][0]["extensions"] = EXTENSIONS
            sections[site.plan.name] = section | {"experimental": True}
        return parse_config({"gateways": sections}, "lab")


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    running = ExtendedLab(PROGRAM, Change())
    await running.start()
    try:
        async with asyncio.timeout(20):
            await running.tunnel_up()
            yield running
    finally:
        await running.stop()


def lose_ike_state(lab: Lab, site: Site) -> None:
    """The IKE endpoint of a gateway begins anew; its switch and its store stay."""
    gateway = lab.gateway(site)
    peers = [peer.config() for peer in gateway._config.peers]
    old = gateway.ike.endpoint
    gateway.ike.endpoint = IkeEndpoint(old._env, directory(peers), gateway._around.clock())
    gateway.connections.established.clear()


async def test_a_proof_of_loss_takes_the_sas_out_of_the_tables_at_once(lab: Lab) -> None:
    """RFC 6290: no retransmission is waited for, and the tunnel comes back."""
    left, right = lab.gateway(lab.left), lab.gateway(lab.right)
    assert await passes(lab, lab.left, lab.right)
    before = await sa_tables(lab, lab.left)
    (ike,) = left.connections.established
    lose_ike_state(lab, lab.right)
    left.ike.command(lambda endpoint, now: endpoint.check_liveness(ike, now))
    down = await lab.happened(lab.left, Kind.IKE_DOWN)
    assert down.text.startswith(DownReason.PEER_CRASHED)
    await lab.happened(lab.left, Kind.SA_REMOVED)
    assert not before & await sa_tables(lab, lab.left)
    await passes_soon(lab, lab.left, lab.right)
    assert len(right.connections.established) == 1


async def test_the_secret_of_tokens_outlives_the_controller(lab: Lab) -> None:
    before = lab.gateway(lab.left).ike.endpoint._env.token_secret
    await lab.stop_controller()
    lab.start_controller()
    assert len(before) == 32
    assert lab.gateway(lab.left).ike.endpoint._env.token_secret == before
    assert lab.gateway(lab.right).ike.endpoint._env.token_secret != before


async def test_an_administrative_delete_empties_the_tables_until_the_operator_acts(
    lab: Lab,
) -> None:
    """Digest 7.2: the peer that wants it up stands by, and says why."""
    gateways = lab.controller.gateways
    hub = gateways["right"]._around.hub
    right = ControllerCommands({"right": gateways["right"]}, hub)
    (child,) = lab.gateway(lab.right).sas.live.children()
    why = {"reason": "administratively-down", "text": "moving house", "language": "en"}
    await right.delete(f"{child.spi_in:08x}", **why)
    alert = await lab.happened(lab.left, Kind.ALERT)
    assert alert.text == "ADMINISTRATIVELY_DOWN, “moving house”"
    await lab.happened(lab.left, Kind.SA_REMOVED)
    status: Any = await ControllerCommands(gateways, hub).status()
    assert status["left"]["told"]["right"]["type"] == "ADMINISTRATIVELY_DOWN"
    assert status["left"]["held"] == ["right/net"]
    assert not await passes(lab, lab.left, lab.right), "traffic alone does not bring it back"
    assert not any(entry.table == "sa_out" for entry in await sa_tables(lab, lab.left))
