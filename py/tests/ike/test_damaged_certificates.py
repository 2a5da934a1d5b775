"""Whatever octets a peer sends as certificates, it is refused or known: nothing else is raised."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ike_lab import TODAY
from pki_lab import authority, host, revocation_list, trusting, usage

from p4esp.ike.auth import certified
from p4esp.ike.auth.binding import check_binding
from p4esp.ike.auth.path import find_path
from p4esp.ike.auth.revocation import Revocation
from p4esp.ipsec.identity import Identity

CONSTRAINTS = x509.NameConstraints([x509.DNSName("example")], None)
ROOT = authority("damaged root")
MIDDLE = authority(
    "damaged middle",
    ROOT,
    extensions=((usage("key_cert_sign", "crl_sign"), True), (CONSTRAINTS, True)),
)
END = host("west", MIDDLE, names=("west.example", "a@west.example", "192.0.2.1"))
TRUST = trusting(ROOT)
LISTS = Revocation(lambda: (revocation_list(ROOT), revocation_list(MIDDLE)))
WEST = Identity.parse("west.example")


def judge(end: bytes, middle: bytes) -> str:
    """What is wrong with two certificates; empty: nothing."""
    own, other = certified._load(end), certified._load(middle)
    if own is None:
        return "unreadable"

    def check():
        others = [other] if other is not None else []
        LISTS.check(find_path(own, others, TRUST.anchors, TODAY), TODAY)
        check_binding(own, WEST)

    return certified._fault(check)


GOOD = [party.certificate.public_bytes(Encoding.DER) for party in (END, MIDDLE)]


def test_undamaged_they_are_good():
    assert judge(*GOOD) == ""


@settings(max_examples=300)
@given(st.integers(0, 1), st.integers(0, 2000), st.binary(min_size=1, max_size=3), st.booleans())
@example(0, 4, b"\x02\x01\x05", False)
def test_damaged_they_are_refused(which, place, octets, insert):
    damaged = list(GOOD)
    data = damaged[which]
    place %= len(data)
    damaged[which] = data[:place] + octets + data[place + (0 if insert else len(octets)) :]
    if damaged != GOOD:
        assert judge(*damaged) != ""


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_octets_are_refused(octets):
    assert judge(octets, GOOD[1]) == "unreadable"
