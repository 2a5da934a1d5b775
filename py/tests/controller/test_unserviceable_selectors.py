"""Selectors that IKE could agree to and the pipeline cannot carry (RFC 7296 2.9)."""

import asyncio
from typing import Any

import pytest
from lab_helpers import PROGRAM, passes

from p4esp.controller.protect_rules import ProtectRules
from p4esp.controller.selectors import MAX_MATCHES
from p4esp.demo import lab as demo_lab
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change, Plan
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.journal import Kind

net = TrafficSelector.of_network
WEB = TrafficSelector.of_network("10.2.0.0/16", 6, (80, 80))


@pytest.fixture
def left_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left wants a part of right's network only; right's rule says all of it."""
    ordinary = demo_lab.gateway_section

    def section(plan: Plan, address: str, change: Change) -> dict[str, Any]:
        config = ordinary(plan, address, change)
        if plan.name == "left":
            for part in (config["peers"][0]["children"][0], config["policies"][0]):
                part["remote"] = ["10.2.0.0/24"]
        return config

    monkeypatch.setattr(demo_lab, "gateway_section", section)


async def failures(lab: Lab, gateway: str, count: int) -> list[str]:
    """The reasons of the first failures of a gateway."""
    while True:
        notes = [n for n in lab.journal.entries if (n.gateway, n.kind) == (gateway, Kind.SA_FAILED)]
        if len(notes) >= count:
            return [note.text for note in notes]
        await lab.journal.next(lambda note: note.kind is Kind.SA_FAILED)


@pytest.mark.usefixtures("left_is_narrow")
async def test_a_responder_refuses_them_before_anything_is_installed() -> None:
    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        reasons = await failures(lab, "left", 3)
        assert set(reasons) == {"net: TS_UNACCEPTABLE"}
        assert "rule to-left narrowed" in (await failures(lab, "right", 1))[0]
        assert not [note for note in lab.journal.entries if note.kind is Kind.SA_UP]
        assert not any(lab.store.sas(site.plan.name) for site in lab.sites)


@pytest.mark.usefixtures("left_is_narrow")
async def test_an_initiator_gives_the_answer_up_and_tries_less_and_less_often() -> None:
    async with running_lab(PROGRAM, Change(starts=("right",))) as lab, asyncio.timeout(15):
        reasons = await failures(lab, "right", 3)
        assert all("rule to-left narrowed" in reason for reason in reasons)
        await lab.happened(lab.left, Kind.SA_DOWN, "deleted by the peer")
        assert not any(lab.store.sas("right"))


async def test_a_rule_for_less_than_its_child_carries_works_and_outlives_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One protocol, and a part of the remote network: the SA is the child's, as IKE agreed."""
    ordinary = demo_lab.gateway_section

    def section(plan: Plan, address: str, change: Change) -> dict[str, Any]:
        config = ordinary(plan, address, change)
        if plan.name == "left":
            config["policies"][0] |= {"protocol": 17, "remote": ["10.2.0.0/24"]}
        return config

    monkeypatch.setattr(demo_lab, "gateway_section", section)
    async with running_lab(PROGRAM) as lab, asyncio.timeout(15):
        await lab.tunnel_up()
        assert await passes(lab, lab.left, lab.right)
        await lab.stop_controller()
        lab.start_controller()
        await lab.happened(lab.left, Kind.RECONCILED, "1 SAs stay")


def objection(local: list[TrafficSelector], remote: list[TrafficSelector]) -> str | None:
    rule = PolicyRule("web", Action.PROTECT, (net("10.1.0.0/16"),), (WEB,), child="right/web")
    return ProtectRules([rule]).objection("right", "web", local, remote)


def test_fewer_destinations_can_be_carried() -> None:
    fewer = TrafficSelector.of_network("10.2.7.0/24", 6, (80, 80))
    assert objection([net("10.1.0.0/16")], [fewer]) is None


def test_more_than_the_rule_asks_for_can_be_carried() -> None:
    wide = [TrafficSelector.of_network("10.0.0.0/8", 6, (80, 90))]
    assert objection([net("10.0.0.0/8")], wide) is None
    assert objection([net("10.1.0.0/16")], [net("10.2.0.0/16")]) is None


@pytest.mark.parametrize(
    ("local", "remote"),
    [
        ([net("10.1.0.0/24")], [WEB]),
        ([net("10.1.0.0/16")], [TrafficSelector.of_network("10.2.0.0/16", 6, (81, 81))]),
        ([net("10.1.0.0/16")], [net("10.2.0.0/16", 17)]),
    ],
    ids=["fewer sources", "other ports", "other protocol"],
)
def test_a_narrower_source_or_another_port_cannot_be_carried(local, remote) -> None:
    reason = objection(local, remote)
    assert reason is not None
    assert reason.endswith("accepted: all of 10.1.0.0/16, and the ports of 10.2.0.0/16[6/80-80]")


def test_selectors_that_would_fill_a_table_are_refused_without_being_expanded() -> None:
    ragged = [
        TrafficSelector(net("10.2.0.1/32").first, net(f"10.2.{n}.254/32").last, 6, 80, 80)
        for n in range(200)
    ]
    reason = objection([net("10.1.0.0/16")], ragged)
    assert reason is not None
    assert reason.endswith(f"accepted: {MAX_MATCHES}")


def test_a_child_without_a_rule_is_refused() -> None:
    reason = ProtectRules([]).objection("right", "web", [net("10.1.0.0/16")], [WEB])
    assert reason == "no policy protects with child right/web"
