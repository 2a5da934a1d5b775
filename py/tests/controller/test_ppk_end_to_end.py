"""Postquantum preshared keys between two gateways: shown, and in the keys of their packets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from lab_helpers import PROGRAM, drops, passes

from p4esp.controller.commands import ControllerCommands
from p4esp.demo.lab import Lab, running_lab
from p4esp.demo.plan import Change
from p4esp.ike.ppk import OPAQUE, PostquantumKey
from p4esp.service.event_hub import EventHub
from p4esp.service.journal import Kind
from p4esp.store.ppks import PpkStore
from p4esp.store.sealing import Sealer

SECRETS = [bytes([number]) * 32 for number in range(1, 9)]


def key_file(directory: Path) -> Path:
    path = directory / "ppk"
    path.write_bytes(bytes(range(0x40, 0x60)))
    path.chmod(0o600)
    return path


def stores(directory: Path) -> dict[str, Path]:
    """A store for each gateway, with the same keys of one use for its peer."""
    sealer = Sealer.from_file(directory / "ppk.key")
    for peer in ("left", "right"):
        keys = [PostquantumKey(bytes([OPAQUE, ord("a") + n]), one) for n, one in enumerate(SECRETS)]
        PpkStore(directory / f"of-{peer}.db", sealer).add(peer, keys)
    return {name: directory / f"of-{name}.db" for name in ("left", "right")}


def used_names(peer: str, path: Path, directory: Path) -> list[str]:
    store = PpkStore(path, Sealer.from_file(directory / "ppk.key"))
    used = [key for key in store.listed() if key.sealed is None]
    assert {key.peer for key in used} == {peer}
    return [key.identity[1:].decode() for key in used]


@asynccontextmanager
async def lab_with(ppks: dict[str, dict[str, Any]], **more: Any) -> AsyncIterator[Lab]:
    """A running lab; `ppks` by gateway."""

    def amend(name: str, section: dict[str, Any]) -> None:
        section["experimental"] = True
        section["peers"][0]["ppk"] = {"required": True, **ppks[name]}

    async with running_lab(PROGRAM, Change(amend=amend, **more)) as lab:
        await lab.tunnel_up()
        yield lab


async def ike_of(lab: Lab) -> list[dict[str, Any]]:
    facts: Any = await ControllerCommands(lab.controller.gateways, EventHub()).status()
    return [ike for gateway in facts.values() for ike in gateway["ike_sas"]]


@pytest.mark.parametrize(("use", "mode"), [("both", "9867"), ("auth", "8784")])
async def test_packets_pass_with_a_ppk_and_status_shows_it(
    tmp_path: Path, use: str, mode: str
) -> None:
    ppk = {"id": "ours", "file": str(key_file(tmp_path)), "use": use}
    async with lab_with({"left": ppk, "right": {**ppk, "use": "both"}}) as lab:
        before = [drops(site) for site in lab.sites]
        assert await passes(lab, lab.left, lab.right)
        assert await passes(lab, lab.right, lab.left)
        shown = [(ike["ppk"], ike["ppk_id"]) for ike in await ike_of(lab)]
        assert shown == [(mode, "fixed:ours")] * 2
        assert [drops(site) for site in lab.sites] == before


async def test_a_rekey_takes_a_key_of_one_use_from_both_stores_and_packets_go_on(
    tmp_path: Path,
) -> None:
    paths = stores(tmp_path)
    ppks = {
        gateway: {
            "store": str(paths[peer]),
            "store_key": str(tmp_path / "ppk.key"),
            "rekey": True,
        }
        for gateway, peer in (("left", "right"), ("right", "left"))
    }
    async with lab_with(ppks) as lab:
        left, before = lab.gateway(lab.left), [drops(site) for site in lab.sites]
        left.rekey_child(next(iter(left.sas.negotiated)))
        for site in lab.sites:
            await lab.happened(site, Kind.SA_DOWN, "replaced by a rekeyed SA")
        assert await passes(lab, lab.left, lab.right)
        (ike,) = left.connections.established
        left.ike.command(lambda endpoint, now: endpoint.rekey_ike(ike, now))
        for site in lab.sites:
            await lab.happened(site, Kind.IKE_REKEYED)
        assert {ike["ppk_id"] for ike in await ike_of(lab)} == {"opaque:c"}
        assert await passes(lab, lab.right, lab.left)
        assert [drops(site) for site in lab.sites] == before
    for peer, path in paths.items():
        assert used_names(peer, path, tmp_path) == ["a", "b", "c"]
