"""Long messages in fragments of either side's making (RFC 7383)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from authority import Authority, Issued, provide, their_side
from charon_daemon import control_plane
from lab.netlab import Lab
from pairing import OUR_ID, OURS, THEIR_ID, THEIRS, Pair, Role, Terms
from sniffing import Sniffer

ROLES = pytest.mark.parametrize("role", ["initiator", "responder"])
SKF = "53"
LOSSY = """
table ip lossy {
  chain arriving {
    type filter hook input priority 0;
    meta l4proto udp numgen inc mod 5 == 3 drop
  }
}
"""


@pytest.fixture(scope="module")
def small_pair(lab: Lab, shim: Path, tmp_path_factory) -> Iterator[Pair]:
    """A charon that makes fragments of 576 octets."""
    flavour = control_plane(shim, fragment_size=576)
    pair = Pair(lab, tmp_path_factory.mktemp("small"), flavour, name="small")
    with pair.charon:
        yield pair


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> tuple[Issued, Issued, tuple[Path, Path], Path]:
    """Us with a bundle, them, the CAs between, and the root: RSA keys of 3072 bits."""
    directory = tmp_path_factory.mktemp("authority")
    root = Authority(directory, "rsa", "root")
    middle = Authority(directory, "rsa", "middle", above=root)
    low = Authority(directory, "rsa", "low", above=middle)
    us, them = low.host(OUR_ID), low.host(THEIR_ID)
    above = (low.own.certificate, middle.own.certificate)
    bundle = directory / "bundle.pem"
    bundle.write_bytes(b"".join(path.read_bytes() for path in (us.certificate, *above)))
    return Issued(bundle, us.key), them, above, root.own.certificate


def terms_of(chain, size: int, version: int = 4) -> Terms:
    us, them, above, root = chain
    return Terms(
        version=version,
        our_file={"ike": {"fragment_size": size, "retransmit_first": 2.0}},
        our_peer={
            "psk": None,
            "certificate": {"file": str(us.certificate), "key": str(us.key)},
            "trust": {"authorities": [str(root)]},
        },
        their_connection=their_side(them, THEIR_ID, OUR_ID, *above),
    )


def fragments(wire: Sniffer) -> tuple[Counter[str], int]:
    """Fragments by sender, and the size of the largest IP packet with one."""
    found = wire.fields(f"isakmp.typepayload == {SKF}", "ip.src", "ip.len")
    return Counter(source for source, _ in found), max(int(size) for _, size in found)


@ROLES
@pytest.mark.parametrize("size", [576, 1280])
def test_certificate_chains_travel_in_fragments_both_ways(
    small_pair: Pair, role: Role, size: int, chain, tmp_path: Path
) -> None:
    with small_pair.session(terms_of(chain, size)) as session:
        provide(small_pair.charon, chain[1], chain[3])
        with Sniffer(small_pair.us, tmp_path) as wire:
            session.up(role)
    counts, largest = fragments(wire)
    assert counts[OURS[0]] >= (6 if size == 576 else 3)
    assert counts[THEIRS[0]] >= 6
    assert largest <= size


@ROLES
def test_fragments_over_ipv6(small_pair: Pair, role: Role, chain) -> None:
    with small_pair.session(terms_of(chain, 1280, 6)) as session:
        provide(small_pair.charon, chain[1], chain[3])
        session.up(role)


@ROLES
def test_lost_fragments_are_sent_again(small_pair: Pair, role: Role, chain) -> None:
    """Every fifth packet that reaches us is lost: another one each time, of seven fragments."""
    small_pair.us.run("nft", "-f", "-", input=LOSSY)
    try:
        with small_pair.session(terms_of(chain, 576)) as session:
            provide(small_pair.charon, chain[1], chain[3])
            session.up(role)
    finally:
        small_pair.us.run("nft", "delete table ip lossy")
