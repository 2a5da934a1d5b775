"""No packet reaches the controller unmetered: ports come to life after the meters are set."""

from collections.abc import Sequence
from typing import Any

import pytest
from lab_helpers import PROGRAM

from p4esp.controller.entries import Update
from p4esp.controller.link import PUNT_RATES
from p4esp.controller.numbers import PUNT_REASONS
from p4esp.controller.target import Session
from p4esp.demo.lab import running_lab
from p4esp.demo.site import Site


def limited(site: Site) -> set[int]:
    """The meters that have a rate."""
    meters = site.device.meter_array("punt_rate")
    return {index for index in range(2 * PUNT_REASONS) if meters.read(index) is not None}


async def test_a_fresh_pipeline_s_ports_have_no_role_until_its_meters_have_rates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pipeline drops what comes in on a port without a role, ARP and IKE included."""
    when_ports_came: dict[str, set[int]] = {}
    ordinary = Session.write

    async def watched(session: Session, updates: Sequence[Update]) -> Any:
        site = next(site for site in lab.sites if site.plan.name == session._switch.name)
        if any(update.entry.table == "port_role" for update in updates):
            when_ports_came.setdefault(site.plan.name, limited(site))
        return await ordinary(session, updates)

    monkeypatch.setattr(Session, "write", watched)
    async with running_lab(PROGRAM) as lab:
        await lab.tunnel_up()
    wanted = {reason + first for reason in PUNT_RATES for first in (0, PUNT_REASONS)}
    assert when_ports_came == {"left": wanted, "right": wanted}
