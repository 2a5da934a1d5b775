"""The section `ppk` of a peer (RFC 8784 5.2.3, 6)."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from p4esp.configuration.peers import PeerSection
from p4esp.ike.auth.credentials import PostquantumKey

KEY = bytes(range(0x40, 0x60))


def section(directory: Path, key: bytes, mode: int = 0o600, **more: Any) -> PeerSection:
    """A peer whose PPK is in a file."""
    path = directory / "ppk"
    path.write_bytes(key)
    path.chmod(mode)
    data = {"name": "east", "remote_id": "east.example", "local_id": "west.example", **more}
    data.setdefault("psk", "correct horse")
    data["ppk"] = {"id": "ours", "file": "ppk", **more.pop("ppk", {})}
    return PeerSection.model_validate(data, context={"directory": directory})


def test_the_key_comes_from_its_file_with_its_name(tmp_path: Path) -> None:
    config = section(tmp_path, KEY + b"\n", ppk={"required": True}).config()
    assert config.ppk == PostquantumKey(b"\x02ours", KEY, required=True)


def test_a_key_of_less_than_32_octets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="31 octets; accepted: at least 32"):
        section(tmp_path, KEY[:31])


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="lets others read the key"):
        section(tmp_path, KEY, mode=0o640)


def test_with_null_authentication_it_must_be_required(tmp_path: Path) -> None:
    null = {"local_auth": "null", "remote_auth": "null", "psk": None}
    with pytest.raises(ValidationError, match="accepted: a ppk that is required"):
        section(tmp_path, KEY, **null)
    assert section(tmp_path, KEY, **null, ppk={"required": True}).config().ppk
