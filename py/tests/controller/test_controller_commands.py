"""A running controller does what it is told over its control socket."""

import asyncio
from typing import Any

import pytest
from lab_helpers import PROGRAM, passes_soon

from p4esp.controller.commands import ControllerCommands, within
from p4esp.demo.lab import running_lab
from p4esp.ike.errors import CommandError
from p4esp.service.event_hub import EventHub


async def test_an_sa_is_rekeyed_and_deleted_by_its_spi() -> None:
    hub = EventHub()
    async with running_lab(PROGRAM) as lab, asyncio.timeout(60):
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.start_controller(hub=hub)
        commands = ControllerCommands(lab.controller.gateways, hub)
        await lab.tunnel_up()
        ((old,),) = [facts["child_sas"] for facts in (await status(commands)).values()][:1]
        rekeyed: Any = await commands.rekey(old["spi_out"])
        assert old["spi_in"] in (rekeyed["old"]["spi_in"], rekeyed["old"]["spi_out"])
        await passes_soon(lab, lab.left, lab.right)
        gone: Any = await commands.delete(rekeyed["new"]["spi_in"].upper())
        assert gone["reason"] == "deleted by us"


async def test_the_status_tells_whether_switch_and_engine_are_in_use() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(60):
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.start_controller()
        commands = ControllerCommands(lab.controller.gateways, EventHub())
        assert await in_use(commands) == {"left": (False, False), "right": (False, False)}
        await lab.tunnel_up()
        assert await in_use(commands) == {"left": (True, True), "right": (True, True)}


async def in_use(commands: ControllerCommands) -> dict[str, tuple[bool, bool]]:
    facts = await status(commands)
    return {name: (item["connected"], item["engine"]) for name, item in facts.items()}


async def status(commands: ControllerCommands) -> dict[str, Any]:
    facts: Any = await commands.status()
    return facts


async def test_an_spi_that_nobody_has_is_refused_with_those_there_are() -> None:
    commands = ControllerCommands({}, EventHub())
    with pytest.raises(CommandError, match="no SA has SPI c0ffee01; accepted: none is up"):
        await commands.rekey("c0ffee01")
    with pytest.raises(CommandError, match="no IKE SA has SPI c0ffee01; accepted: none is up"):
        await commands.rekey_ike("c0ffee01")


@pytest.mark.parametrize(
    "text", ["", "-1", "4", "1" * 11, "0" * 10 + "9", "0000000002999", "9" * 5000, "\u0663", "1 "]
)
def test_a_number_that_is_none_or_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"accepted: 0\.\.3"):
        within("count", text, 0, 3)


@pytest.mark.parametrize("text", ["0", "3", "0000000003"])
def test_a_number_in_range_is_what_it_says(text: str) -> None:
    assert within("count", text, 0, 3) == int(text)
