"""Whatever is lost, spoiled or refused, an SPI is in use for a child SA that came up, or for one
that waits for further key exchanges: none is lost, and none is given back twice.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from ike_lab import EAST_NET, STEADY, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import assert_mirrored, live

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import KeyExchange, Nonce, Notify
from p4esp.ike.config import FormatWish, Settings
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import ChildDown, ChildRekeyed, ChildUp
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.proposals import Template
from p4esp.ike.tasks.create_child import CreateChild, CreateChildResponder
from p4esp.ike.tasks.ike_followup_ke import IkeFollowupKe, IkeFollowupKeResponder
from p4esp.ike.tasks.rekey_ike import RekeyIkeResponder
from p4esp.ipsec.sa import Share

ALL = ExtensionWishes(**{field.name: True for field in fields(ExtensionWishes)})
IKE = ("aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-x25519-ke1_ecp256")
ESP = tuple(f"aes256gcm16iiv-{more}noesn" for more in ("", "x25519-", "x25519-ke1_ecp256-"))
FORMATS = FormatWish(), FormatWish("sub-child", subs=4), FormatWish("diet-esp", spi_octets=1)
SHARES = Share(), Share(bytes(4)), Share(dscps=(46,)), Share(bytes(4), (46,))
REFUSALS = (
    NotifyType.NO_PROPOSAL_CHOSEN,
    NotifyType.TEMPORARY_FAILURE,
    NotifyType.CHILD_SA_NOT_FOUND,
    NotifyType.STATE_NOT_FOUND,
    NotifyType.INVALID_KE_PAYLOAD,
)
HALVES = CreateChild, CreateChildResponder, IkeFollowupKe, IkeFollowupKeResponder, RekeyIkeResponder
STEPS = 30


def lab_of(dice: random.Random) -> Lab:
    """Two ends that want the same, and a bad network between them."""
    same = {
        "proposals": (Template.esp(dice.choice(ESP)),),
        "format": dice.choice(FORMATS),
        "resources": dice.choice([0, 2]),
        "dscp_classes": ((46,),),
    }
    wishes = dice.choice([ALL, ExtensionWishes()])
    both = {"proposals": (Template.ike(dice.choice(IKE)),), "extensions": wishes}
    nets = WEST_NET.replace("/16", "/24"), EAST_NET.replace("/16", "/24")
    loss = dice.choice([0, 0.1, 0.3])

    def fate(_: object) -> list[float]:
        return (
            [] if dice.random() < loss else [dice.choice([0.01, 0.05, 0.2])] * dice.choice([1, 2])
        )

    return Lab(
        west_config(children=(replace(child(*nets), **same),), **both),
        east_config(children=(replace(child(*nets[::-1]), **same),), **both),
        fate=fate,
        settings=Settings(retransmission=STEADY, experimental=True, max_children=6),
        seed=dice.randrange(1, 10**6) * 2,
    )


def spoil(monkeypatch: pytest.MonkeyPatch, dice: random.Random) -> None:
    """Some messages of both ends are not what they should be."""
    for half in HALVES:
        monkeypatch.setattr(half, "build", spoiled(half.build, dice))  # type: ignore[attr-defined]


def spoiled(build: Callable[..., list[AnyPayload]], dice: random.Random) -> Callable[..., object]:
    def changed(self: object, sa: object) -> list[AnyPayload]:
        payloads = list(build(self, sa))
        if dice.random() > 0.2 or not payloads:
            return payloads
        at = dice.randrange(len(payloads))
        match dice.randrange(4):
            case 0:
                return [Notify(dice.choice(REFUSALS), dice.randbytes(dice.choice([0, 2, 3])))]
            case 1:
                del payloads[at]
            case 2:
                payloads.append(payloads[at])
            case _:
                payloads = list(map(damaged, payloads))
        return payloads

    return changed


def damaged(payload: AnyPayload) -> AnyPayload:
    match payload:
        case KeyExchange():
            return replace(payload, method=20)
        case Notify():
            return replace(payload, data=payload.data[:-1])
        case Nonce():
            return replace(payload, data=bytes(16))
    return payload


def act(lab: Lab, dice: random.Random) -> None:
    """A command at one end."""
    end = dice.choice([lab.west, lab.east]).endpoint
    sas = [spi for node in (lab.west, lab.east) if node.endpoint is end for spi in live(node)]
    ikes = [ike.spi for ike in end.ike_sas]
    with suppress(CommandError):
        if not ikes:
            lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
            return
        match dice.randrange(6):
            case 0 | 1:
                share = dice.choice(SHARES)
                end.create_child(dice.choice(ikes), "net", lab.now, share=share)
            case 2:
                end.rekey_ike(dice.choice(ikes), lab.now)
            case 3 if sas:
                end.delete_child(dice.choice(sas), lab.now)
            case _ if sas:
                end.rekey_child(dice.choice(sas), lab.now)


def assert_exact(lab: Lab) -> None:
    for node in (lab.west, lab.east):
        up = {event.child.spi_in for event in node.of(ChildUp)}
        up |= {event.new.spi_in for event in node.of(ChildRekeyed)}
        down = [event.child.spi_in for event in node.of(ChildDown)]
        waiting = [e for e in node.endpoint._entries.values() if e.sa._state.additional.followup]
        assert up <= node.spis.used
        assert len(node.spis.used - up) <= len(waiting)
        assert len(down) == len(set(down))
        assert set(live(node)) == up - set(down)


@pytest.mark.parametrize("honest", [True, False])
@pytest.mark.parametrize("seed", range(16))
def test_spis_in_use_are_those_of_child_sas(seed, honest, monkeypatch):
    dice = random.Random(seed)
    lab = lab_of(dice)
    with monkeypatch.context() as patch:
        if not honest:
            spoil(patch, dice)
        for _ in range(STEPS):
            act(lab, dice)
            lab.run(dice.choice([0, 0.02, 0.1, 2, 20]))
    lab.fate = lambda _: [0.01]
    lab.run(600)
    assert_exact(lab)
    if honest:
        assert_mirrored(lab)
    lab.fate = lambda _: []
    for node in (lab.west, lab.east):
        for ike in node.endpoint.ike_sas:
            with suppress(CommandError):
                node.endpoint.delete_ike(ike.spi, lab.now)
    lab.run(4000)
    assert_exact(lab)
    assert live(lab.west) == live(lab.east) == {}
