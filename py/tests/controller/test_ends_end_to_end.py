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
from p4esp.ike.config import Retransmission, Settings
from p4esp.ike.endpoint import IkeEndpoint, directory
from p4esp.ike.events import DownReason
from p4esp.service.journal import Kind

EXTENSIONS = {
    "delete_reason": True,
    "crash_detection": True,
    "resumption": True,
    "message_id_sync": True,
}


class ExtendedLab(Lab):
    """Both gateways with the extensions of this file; left brings the child up."""

    def config(self) -> ControllerConfig:
        sections: dict[str, Any] = {}
        for site in self.sites:
            section = gateway_section(site.plan, site.address, self.change)
            section["peers"][0]["extensions"] = EXTENSIONS
            sections[site.plan.name] = section | {"experimental": True}
        return parse_config({"gateways": sections}, "lab")

    def start_controller(self, **changed: Any) -> None:
        """A silent peer is soon given up."""
        settings = Settings(retransmission=Retransmission(first=0.4, tries=1))
        super().start_controller(**{"ike_settings": settings} | changed)


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


async def test_a_lost_ike_sa_is_resumed_and_its_sas_are_new(lab: Lab) -> None:
    """RFC 5723: the tables get SAs with other keys, without a key exchange."""
    left = lab.gateway(lab.left)
    before = await sa_tables(lab, lab.left)
    (ike,) = left.connections.established
    lab.wire.disconnect()
    left.ike.command(lambda endpoint, now: endpoint.check_liveness(ike, now))
    down = await lab.happened(lab.left, Kind.IKE_DOWN)
    assert down.text.startswith(DownReason.PEER_DEAD)
    lab.trace.clear()
    lab.plug()
    await passes_soon(lab, lab.left, lab.right)
    (new,) = left.connections.established.values()
    assert new.resumed
    payloads = {name for _, record in lab.trace for name in record.payloads}
    assert "N(TICKET_OPAQUE)" in payloads
    assert not any("KeyExchange" in name for name in payloads)
    assert not before & await sa_tables(lab, lab.left)


async def test_one_that_takes_over_makes_the_peer_skip_sequence_numbers(lab: Lab) -> None:
    """RFC 6311: message IDs are agreed on anew, numbers jump by what was announced, and packets
    pass as before.
    """
    left, right = lab.gateway(lab.left), lab.gateway(lab.right)
    assert await passes(lab, lab.left, lab.right)
    (live,) = left.sas.live.values()
    assert left.link is not None
    space, key = live.record.placement.space_out, bytes(range(32))
    before = await left.link.state.read_sequence(space)
    (ike,) = right.connections.established
    sealed = right.ike.command(lambda endpoint, _: endpoint.export_ike(ike, key))
    lose_ike_state(lab, lab.right)
    peers = [peer.config() for peer in right._config.peers]
    children = list(right.sas.live.children())
    right.ike.command(
        lambda endpoint, now: endpoint.take_over(sealed, key, peers, children, now, missed=1000)
    )
    for site in lab.sites:
        await lab.happened(site, Kind.RESYNC, "1000 numbers are skipped")
    assert await left.link.state.read_sequence(space) == before + 1000
    assert await passes(lab, lab.left, lab.right)
    assert await passes(lab, lab.right, lab.left)
    right.rekey_child(children[0].spi_in)
    await lab.happened(lab.left, Kind.SA_REMOVED)
    assert await passes(lab, lab.left, lab.right)
