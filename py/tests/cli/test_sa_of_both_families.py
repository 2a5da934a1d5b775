"""`p4esp sa` and `p4esp status` of a switch whose SAs are of IPv6, outside and inside."""

import asyncio
import json
from ipaddress import ip_network

from family_lab import FamilyLab, Shape, network, outer, running_family_lab
from typer import Typer
from typer.testing import CliRunner

from p4esp.cli import sa_cmd, status_cmd

app = Typer()
app.add_typer(sa_cmd.app, name="sa")
app.command("status")(status_cmd.status_command)


async def told(*words: str, lab: FamilyLab) -> str:
    """What a command prints about the left switch."""
    words = (*words, "--switch", lab.left.address)
    result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


async def test_the_ends_of_an_sa_over_ipv6_are_listed() -> None:
    async with running_family_lab(Shape(6, (6,))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        rows = json.loads(await told("sa", "list", "--json", lab=lab))
        ends = {row["direction"]: row["tunnel"] for row in rows}
        assert ends["out"] == f"{outer(1, 6)} - {outer(2, 6)}"


async def test_an_sa_is_shown_with_all_that_belongs_to_its_direction_and_nothing_else() -> None:
    async with running_family_lab(Shape(6, (4, 6))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        child = lab.live(lab.left).record.child
        inbound = await told("sa", "show", f"{child.spi_in:08x}", lab=lab)
        outbound = await told("sa", "show", f"{child.spi_out:08x}", lab=lab)
        assert {line.split("[")[0] for line in inbound.splitlines()} == {"sad", "sa_in", "pair_v6"}
        assert {line.split("[")[0] for line in outbound.splitlines()} == {
            *("sa_out", "tunnel_v6", "sa_select", "sa_select_v6"),
        }
        inner = int(ip_network(network(2, 6)).network_address)
        assert f"src={inner:#x}" in inbound


async def test_status_counts_the_tables_of_both_families() -> None:
    async with running_family_lab(Shape(6, (4, 6))) as lab, asyncio.timeout(20):
        await lab.tunnel_up()
        status = json.loads(await told("status", "--json", lab=lab))
        entries = {name: status["entries"][name] for name in ("spd", "spd_v6", "tunnel_v6")}
        assert entries == {"spd": 2, "spd_v6": 2, "tunnel_v6": 1}
        assert status["entries"]["local_v6"] == len(("inside", "outside", "host"))
