"""The section `ppk` of a peer (RFC 8784 5.2.3, 6; RFC 9867)."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from p4esp.configuration.peers import PeerSection
from p4esp.configuration.sections import ConfigError, parse_file
from p4esp.daemon.config import DaemonConfig
from p4esp.ike.ppk import FixedPpks, PostquantumKey, PpkMode, PpkPolicy
from p4esp.store.ppks import PpkStore
from p4esp.store.sealing import Sealer

KEY = bytes(range(0x40, 0x60))
PEER = {
    "name": "east",
    "remote_id": "east.example",
    "local_id": "west.example",
    "psk": "correct horse",
}


def section(directory: Path, key: bytes, mode: int = 0o600, **more: Any) -> PeerSection:
    """A peer whose PPK is in a file."""
    path = directory / "ppk"
    path.write_bytes(key)
    path.chmod(mode)
    data = {**PEER, **more, "ppk": {"id": "ours", "file": "ppk", **more.get("ppk", {})}}
    return PeerSection.model_validate(data, context={"directory": directory})


def stored(directory: Path, **more: Any) -> PeerSection:
    """A peer whose PPKs are in a store."""
    sealer = Sealer.from_file(directory / "ppk.key")
    PpkStore(directory / "ppk.db", sealer).add("east", [PostquantumKey(b"\x02ours", KEY)])
    data = {**PEER, "ppk": {"store": "ppk.db", "store_key": "ppk.key", **more}}
    return PeerSection.model_validate(data, context={"directory": directory})


def policy_of(peer: PeerSection) -> PpkPolicy:
    policy = peer.config().ppk
    assert policy is not None
    return policy


def test_the_key_comes_from_its_file_with_its_name(tmp_path: Path) -> None:
    policy = policy_of(section(tmp_path, KEY + b"\n", ppk={"required": True}))
    assert policy == PpkPolicy(FixedPpks((PostquantumKey(b"\x02ours", KEY),)), required=True)


def test_keys_come_from_a_store(tmp_path: Path) -> None:
    policy = policy_of(stored(tmp_path))
    assert list(policy.source.offer()) == [PostquantumKey(b"\x02ours", KEY)]


@pytest.mark.parametrize(
    ("use", "modes"),
    [
        ("both", (PpkMode.INTERMEDIATE, PpkMode.AUTH)),
        ("intermediate", (PpkMode.INTERMEDIATE,)),
        ("auth", (PpkMode.AUTH,)),
    ],
)
def test_ways_to_mix_it_in(tmp_path: Path, use: str, modes: tuple[PpkMode, ...]) -> None:
    assert policy_of(section(tmp_path, KEY, ppk={"use": use})).modes == modes


def test_rekeys_mix_in_none_unless_that_is_wanted(tmp_path: Path) -> None:
    assert not policy_of(section(tmp_path, KEY)).rekey
    assert policy_of(section(tmp_path, KEY, ppk={"rekey": True})).rekey
    with pytest.raises(ValidationError, match="accepted: use = both or intermediate"):
        section(tmp_path, KEY, ppk={"rekey": True, "use": "auth"})


@pytest.mark.parametrize("experimental", [True, False])
def test_rekeys_take_the_switch_for_what_is_not_confirmed(
    tmp_path: Path, experimental: bool
) -> None:
    section(tmp_path, KEY)
    ppk = {"id": "ours", "file": "ppk", "rekey": True}
    data = {"experimental": experimental, "peers": [{**PEER, "ppk": ppk}]}
    if experimental:
        assert parse_file(DaemonConfig, data, "f", tmp_path).peers[0].ppk
    else:
        with pytest.raises(ConfigError, match=r"ppk\.rekey is experimental"):
            parse_file(DaemonConfig, data, "f", tmp_path)


def test_a_key_of_less_than_32_octets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="31 octets; accepted: at least 32"):
        section(tmp_path, KEY[:31])


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="lets others read the key"):
        section(tmp_path, KEY, mode=0o640)


def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    data = {**PEER, "ppk": {"store": "ppk.db", "store_key": "ppk.key"}}
    with pytest.raises(ValidationError, match=r"ppk\.db is missing; .*p4esp ppk import"):
        PeerSection.model_validate(data, context={"directory": tmp_path})


def test_either_one_key_or_a_store(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="either id and file, or store and store_key"):
        stored(tmp_path, id="ours")
    with pytest.raises(ValidationError, match="either id and file, or store and store_key"):
        PeerSection.model_validate({**PEER, "ppk": {"id": "ours"}}, context={})


def test_with_null_authentication_it_must_be_required(tmp_path: Path) -> None:
    null = {"local_auth": "null", "remote_auth": "null", "psk": None}
    with pytest.raises(ValidationError, match="accepted: a ppk that is required"):
        section(tmp_path, KEY, **null)
    assert section(tmp_path, KEY, **null, ppk={"required": True}).config().ppk
