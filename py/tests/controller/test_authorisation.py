"""An SA that the switch kept stays where today's configuration would make it so again."""

from dataclasses import replace
from typing import Any

import pytest
from controller_samples import CHILD
from family_lab import Shape
from format_lab import (
    IMPLICIT,
    KEYS,
    keys_of,
    proposals_of,
    running_format_family_lab,
    running_format_lab,
)

from p4esp.configuration.formats import default_proposals
from p4esp.controller.authorisation import _is_within
from p4esp.demo.lab import Lab
from p4esp.ike.config import ChildConfig, FormatWish
from p4esp.ike.proposals import Template
from p4esp.ipsec.algorithms import SUITES
from p4esp.ipsec.sa import ChildSaParams, Layout, Mode
from p4esp.service.journal import Kind

EESP = FormatWish("eesp-optimized")
OF_EESP = Layout("eesp-optimized", one_key=True)


def sa(suite: str, *, esn: bool = False, **more: Any) -> ChildSaParams:
    return replace(CHILD, suite=SUITES[suite], esn=esn, **more)


def section(*proposals: str, **more: Any) -> ChildConfig:
    templates = tuple(Template.esp(text, allow_weak=True) for text in proposals)
    return ChildConfig(CHILD.name, CHILD.local_ts, CHILD.remote_ts, templates, **more)


@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("suite", SUITES)
def test_an_sa_of_any_suite_is_within_the_proposal_of_it_and_no_other(
    suite: str, esn: bool
) -> None:
    mine, other = (f"{suite}-esn", f"{suite}-noesn")[:: 1 if esn else -1]
    another = "aes128gcm16" if suite != "aes128gcm16" else "aes256gcm16"
    kept = sa(suite, esn=esn)
    assert _is_within(kept, section(mine))
    assert _is_within(kept, section(f"{another}-esn-noesn", f"{suite}-modpnone-x25519-esn-noesn"))
    assert not _is_within(kept, section(other))
    assert not _is_within(kept, section(f"{another}-esn-noesn"))
    assert not _is_within(kept, section(other, f"{another}-esn-noesn")), "one template allows both"


def test_a_template_of_many_algorithms_has_every_pair_of_them() -> None:
    many = section("aes256-aes128-sha256-sha512-noesn")
    assert _is_within(sa("aes128-sha512"), many)
    assert not _is_within(sa("aes128-sha384"), many)
    assert not _is_within(sa("aes192-sha256"), many)


@pytest.mark.parametrize("mode", Mode)
def test_an_sa_is_within_a_child_of_its_mode_alone(mode: Mode) -> None:
    kept = sa("aes256gcm16", mode=mode)
    fits = {item for item in Mode if _is_within(kept, section("aes256gcm16", mode=item))}
    assert fits == {mode}


@pytest.mark.parametrize(
    ("suite", "proposal"),
    [
        ("aes256gcm16iiv", "aes256gcm16iiv-esn"),
        ("aes256gcm16iiv", "aes256gcm16iiv-noesn"),
        ("chacha20poly1305iiv", "chacha20poly1305iiv-aes256gcm16iiv-x25519-noesn"),
    ],
)
def test_what_a_proposal_says_of_esn_is_nothing_to_eesp(suite: str, proposal: str) -> None:
    kept = sa(suite, layout=OF_EESP)
    assert _is_within(kept, section(proposal, format=EESP))
    assert not _is_within(kept, section("aes128gcm16iiv-esn-noesn", format=EESP))


def test_eesp_is_not_within_proposals_that_only_esp_can_have() -> None:
    """EESP has AEADs that encrypt only, and knows no ESN."""
    for suite in ("aes256gmac", "aes256-sha256"):
        readable = sa(suite, layout=OF_EESP)
        assert not _is_within(readable, section(f"{suite}-noesn", format=EESP))
    extended = sa("aes256gcm16iiv", esn=True, layout=OF_EESP)
    assert not _is_within(extended, section("aes256gcm16iiv-esn", format=EESP))


@pytest.mark.parametrize("numbered", [False, True])
def test_eesp_with_and_without_numbers_is_within_what_says_so(numbered: bool) -> None:
    layout = Layout("eesp-full", one_key=True, numbered=numbered)
    kept = sa("aes256gcm16", layout=layout)
    wish = FormatWish("eesp-full", numbered=numbered)
    assert _is_within(kept, section("aes256gcm16-noesn", format=wish))
    other = replace(wish, numbered=not numbered)
    assert not _is_within(kept, section("aes256gcm16-noesn", format=other))


def test_plain_esp_in_place_of_eesp_is_held_against_the_proposals_of_esp() -> None:
    kept = sa("aes256gcm16")
    assert _is_within(kept, section("aes256gcm16-noesn", format=EESP))
    assert not _is_within(kept, section("aes256gcm16-esn", format=EESP))
    assert not _is_within(kept, section("aes256gcm16iiv-noesn", format=EESP))


@pytest.mark.parametrize("name", ["esp", *KEYS])
def test_what_is_proposed_by_default_is_within_the_default(name: str) -> None:
    wish = FormatWish(name)
    child = ChildConfig(
        CHILD.name, CHILD.local_ts, CHILD.remote_ts, default_proposals(name), format=wish
    )
    suite = "aes256gcm16iiv" if name in ("eesp-optimized", "header-in-trailer") else "aes256gcm16"
    layout = Layout(name, one_key=name.startswith("eesp"))
    assert _is_within(sa(suite, layout=layout), child)
    assert not _is_within(sa("aes256gmac", layout=layout), child)


# --- through two gateways --------------------------------------------------------------------


async def take_over(lab: Lab, kept: dict[str, int]) -> None:
    """Start another controller, and see how many SAs stay."""
    lab.change.starts = ()
    lab.start_controller()
    for site in lab.sites:
        await lab.happened(site, Kind.RECONCILED, f"{kept[site.plan.name]} SAs stay")


@pytest.mark.parametrize("name", KEYS)
async def test_an_unchanged_configuration_keeps_its_sa_of_any_format(name: str) -> None:
    async with running_format_lab(keys_of(name), esp=proposals_of(name)) as lab:
        await lab.tunnel_up()
        before = [lab.live(site).record for site in lab.sites]
        await lab.stop_controller()
        await take_over(lab, {"left": 1, "right": 1})
        assert [lab.live(site).record for site in lab.sites] == before


@pytest.mark.parametrize("name", ["no-trailer", "wesp", "eesp-optimized"])
async def test_plain_esp_that_a_wish_for_more_ended_in_stays(name: str) -> None:
    wish = {"format": name, **KEYS[name]}
    async with running_format_lab(wish, {}, esp=proposals_of(name)) as lab:
        await lab.tunnel_up()
        assert lab.live(lab.left).record.child.layout == Layout()
        await lab.stop_controller()
        await take_over(lab, {"left": 1, "right": 1})


@pytest.mark.parametrize("esp", ["null-sha256-noesn", "aes128gmac-noesn", "aes256-sha256-esn"])
async def test_an_unchanged_configuration_keeps_an_sa_of_any_sort_of_suite(esp: str) -> None:
    async with running_format_lab({}, esp=(esp,)) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        await take_over(lab, {"left": 1, "right": 1})


@pytest.mark.parametrize(
    ("was", "now", "keys"),
    [
        ("aes128gmac-noesn", "aes256gcm16-noesn", {}),
        ("aes128gmac-noesn", "aes256gcm16-noesn", {"format": "wesp"}),
        ("null-sha256-noesn", "aes256gcm16-noesn", {}),
        ("aes256gcm16-esn", "aes256gcm16-noesn", {}),
        ("aes256gcm16-noesn", "aes256gcm16-esn", {}),
        (IMPLICIT[0], "aes256gcm16iiv-noesn", keys_of("eesp-optimized")),
    ],
)
async def test_an_sa_of_algorithms_that_are_proposed_no_more_ends_at_take_over(
    was: str, now: str, keys: dict[str, Any]
) -> None:
    async with running_format_lab(keys, esp=(was,)) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.children["left"] = keys | {"proposals": [now]}
        await take_over(lab, {"left": 0, "right": 1})


async def test_an_sa_of_a_mode_that_is_wanted_no_more_ends_at_take_over() -> None:
    async with running_format_family_lab(Shape(4, (4,), "transport"), {}) as lab:
        await lab.tunnel_up()
        await lab.stop_controller()
        lab.keys = {"mode": "tunnel"}
        await take_over(lab, {"left": 0, "right": 0})
