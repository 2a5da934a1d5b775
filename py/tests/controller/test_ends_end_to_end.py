"""What becomes of SAs in the switch when IKE SAs end in other ways than by a plain Delete."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from lab_helpers import PROGRAM, passes, passes_soon, sa_tables
from typer.testing import CliRunner

from p4esp.agenda.configuring import extension
from p4esp.cli.status_cmd import status_command
from p4esp.controller.commands import ControllerCommands
from p4esp.demo.faults import lose_peer, lose_state, take_over
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.ike.config import Retransmission
from p4esp.ike.events import DownReason
from p4esp.service.control import control_socket
from p4esp.service.journal import Kind

NAMES = ("delete_reason", "crash_detection", "resumption", "message_id_sync")


def status_app() -> typer.Typer:
    app = typer.Typer()
    app.command()(status_command)
    return app


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """Both gateways with the extensions of this file, and little patience with a silent peer."""
    change = Change(
        amend=extension(**dict.fromkeys(NAMES, True)),
        ike={"retransmission": Retransmission(first=0.4, tries=1)},
    )
    async with running_lab(PROGRAM, change) as running, asyncio.timeout(20):
        await running.tunnel_up()
        yield running


async def test_a_proof_of_loss_takes_the_sas_out_of_the_tables_at_once(lab: Lab) -> None:
    """RFC 6290: no retransmission is waited for, and the tunnel comes back."""
    assert await passes(lab, lab.left, lab.right)
    before = await sa_tables(lab, lab.left)
    await lose_state(lab, lab.right)
    down = await lab.happened(lab.left, Kind.IKE_DOWN)
    assert down.text.startswith(DownReason.PEER_CRASHED)
    await lab.happened(lab.left, Kind.SA_REMOVED)
    assert not before & await sa_tables(lab, lab.left)
    await passes_soon(lab, lab.left, lab.right)
    assert len(lab.gateway(lab.right).connections.established) == 1


async def test_the_secret_of_tokens_outlives_the_controller(lab: Lab) -> None:
    before = lab.gateway(lab.left).ike.endpoint._env.token_secret
    await lab.stop_controller()
    lab.start_controller()
    assert len(before) == 32
    assert lab.gateway(lab.left).ike.endpoint._env.token_secret == before
    assert lab.gateway(lab.right).ike.endpoint._env.token_secret != before


async def test_an_administrative_delete_empties_the_tables_until_the_operator_acts(
    lab: Lab, tmp_path: Path
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
    async with control_socket(tmp_path / "c.sock", ControllerCommands(gateways, hub).table, hub):
        words = ["--switch", lab.left.address, "--control", str(tmp_path / "c.sock")]
        shown = await asyncio.to_thread(CliRunner().invoke, status_app(), words)
    assert 'left: right deleted an SA: ADMINISTRATIVELY_DOWN, "moving house"' in shown.output
    assert "left: right/net is held back" in shown.output
    assert not await passes(lab, lab.left, lab.right), "traffic alone does not bring it back"
    assert not any(entry.table == "sa_out" for entry in await sa_tables(lab, lab.left))


async def test_a_lost_ike_sa_is_resumed_and_its_sas_are_new(lab: Lab) -> None:
    """RFC 5723: the tables get SAs with other keys, without a key exchange."""
    left = lab.gateway(lab.left)
    before = await sa_tables(lab, lab.left)
    lab.trace.clear()
    await lose_peer(lab, lab.left)
    down = await lab.happened(lab.left, Kind.IKE_DOWN)
    assert down.text.startswith(DownReason.PEER_DEAD)
    await passes_soon(lab, lab.left, lab.right)
    (new,) = left.connections.established.values()
    assert new.resumed
    payloads = {name for _, record in lab.trace for name in record.payloads}
    assert "N(TICKET_OPAQUE)" in payloads
    assert "KE" not in payloads
    assert not before & await sa_tables(lab, lab.left)


async def test_one_that_takes_over_makes_the_peer_skip_sequence_numbers(lab: Lab) -> None:
    """RFC 6311: message IDs are agreed on anew, numbers jump by what was announced, and packets
    pass as before.
    """
    left, right = lab.gateway(lab.left), lab.gateway(lab.right)
    assert await passes(lab, lab.left, lab.right)
    (live,) = left.sas.live.values()
    assert left.link is not None
    space = live.record.placement.space_out
    before = await left.link.state.read_sequence(space)
    take_over(lab, lab.right, missed=1000)
    for site in lab.sites:
        await lab.happened(site, Kind.SKIPPED, ": 1000 of ")
    assert await left.link.state.read_sequence(space) == before + 1000
    assert await passes(lab, lab.left, lab.right)
    assert await passes(lab, lab.right, lab.left)
    right.rekey_child(live.record.child.spi_out)
    await lab.happened(lab.left, Kind.SA_REMOVED)
    assert await passes(lab, lab.left, lab.right)
