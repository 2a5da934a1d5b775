"""The gateway for road warriors in the operator guide, and what of an assignment is refused."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pki_lab import authority, host, revocation_list

from p4esp.configuration.peers import PeerSection
from p4esp.configuration.sections import ConfigError, parse_file
from p4esp.ipsec.identity import Identity

GUIDE = Path(__file__).parents[3] / "docs" / "operator-guide.md"
ROOT = authority("warriors")
GATEWAY = host("gateway", ROOT)


def example() -> dict[str, Any]:
    """The peer of the guide."""
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (text,) = [block for block in blocks if "[peers.assign]" in block]
    (peer,) = tomllib.loads(text)["peers"]
    return dict(peer)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    key = GATEWAY.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, octets in {
        "gateway.pem": GATEWAY.certificate.public_bytes(Encoding.PEM),
        "gateway.key": key,
        "ca.pem": ROOT.certificate.public_bytes(Encoding.PEM),
        "ca.crl": revocation_list(ROOT).public_bytes(Encoding.PEM),
    }.items():
        (tmp_path / name).write_bytes(octets)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def parsed(files: Path, **changes: Any) -> PeerSection:
    return parse_file(PeerSection, example() | changes, "guide", files)


def test_the_example_of_the_guide_says_what_it_means(files: Path) -> None:
    config = parsed(files).config()
    assert config.remote_id.matches(Identity.parse("anna.road.example"))
    assert config.assignment is not None
    assert config.assignment.required
    assert [str(pool.network) for pool in config.assignment.pools] == ["10.9.0.0/24"]
    assert str(config.assignment.config) == "dns 10.2.0.53"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"assign": {"pools": []}}, "assign.pools"),
        ({"assign": {"pools": ["10.9.0.0/31"]}}, "pool 10.9.0.0/31 is too small"),
        ({"assign": {"pools": ["10.9.0.0/24", "10.8.0.0/24"]}}, "one pool of each IP version"),
        ({"remote_id": "*x"}, "accepted: *, *.example or *@example"),
        ({"request_addresses": [5]}, "accepted: 4 and 6"),
        ({"childless": "maybe"}, "childless"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    files: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(files, **changes)
    assert why in str(caught.value)
