"""The lab of demo and tests."""

import asyncio

import pytest
from lab_helpers import PROGRAM

from p4esp.configuration.sections import ConfigError
from p4esp.demo.lab import Lab
from p4esp.demo.plan import Change


async def test_a_lab_that_cannot_start_leaves_no_switch_behind() -> None:
    lab = Lab(PROGRAM, Change(sa={"no such key": 1}))
    with pytest.raises(ConfigError, match="no such key"):
        await lab.start()
    for site in lab.sites:
        host, port = site.address.rsplit(":", 1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
