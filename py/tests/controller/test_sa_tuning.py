"""The inner MTU by RFC 4303's arithmetic, held against packets that scapy seals (digest 3.7)."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from p4esp.controller import tables
from p4esp.controller.numbers import Mode, Wrap
from p4esp.controller.sa_tuning import inner_mtu
from p4esp.controller.tables import SealWith

GCM = {"iv_len": 8, "icv_len": 16, "align": 4}
CBC = {"iv_len": 16, "icv_len": 16, "align": 16}
IIV = {"iv_len": 0, "icv_len": 16, "align": 4}


def sealed(**changed: int):
    sizes = GCM | {"esn": 0, "seq_soft": 9, "seq_hard": 10, "tunnel_src": 1, "tunnel_dst": 2}
    return tables.sa_out(1, SealWith(1, 2, 3, spi=4, **(sizes | changed)))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (1226, 1446, 8946)),
        ({"udp_encap": 1}, (1218, 1438, 8938)),
        ({"outer_v6": 1}, (1206, 1426, 8926)),
        ({"outer_v6": 1, "udp_encap": 1}, (1198, 1418, 8918)),
        (IIV, (1234, 1454, 8954)),
        (CBC, (1214, 1438, 8926)),
        (CBC | {"udp_encap": 1}, (1198, 1422, 8926)),
        (CBC | {"outer_v6": 1}, (1198, 1406, 8910)),
    ],
)
def test_pmt_02_each_cell_of_the_digests_table(changed, expected) -> None:
    entry = sealed(**changed)
    assert tuple(inner_mtu(entry, mtu) for mtu in (1280, 1500, 9000)) == expected


def test_wesp_takes_four_octets_more_and_eight_where_ipv6_or_udp_is_outside() -> None:
    plain = inner_mtu(sealed(), 1500)
    wrapped = {"wrap": Wrap.ENCRYPTED}
    assert inner_mtu(sealed(**wrapped), 1500) == plain - 4
    for more in ({"udp_encap": 1}, {"outer_v6": 1}):
        assert inner_mtu(sealed(**more, **wrapped), 1500) == inner_mtu(sealed(**more), 1500) - 8


GCM_SA = {"crypt_algo": "AES-GCM", "crypt_key": bytes(20)}
CBC_SA = {
    "crypt_algo": "AES-CBC",
    "crypt_key": bytes(16),
    "auth_algo": "SHA2-256-128",
    "auth_key": bytes(32),
}


@pytest.mark.parametrize("path_mtu", [576, 1280, 1400, 1500])
@pytest.mark.parametrize(("sizes", "algorithms"), [(GCM, GCM_SA), (CBC, CBC_SA)])
@pytest.mark.parametrize("outer_v6", [0, 1])
@pytest.mark.parametrize("mode", [Mode.TUNNEL, Mode.TRANSPORT])
def test_pmt_02_what_scapy_seals_just_fits_and_one_octet_more_does_not(
    path_mtu, sizes, algorithms, outer_v6, mode
) -> None:
    limit = inner_mtu(sealed(**sizes, outer_v6=outer_v6, mode=mode), path_mtu)
    header = IPv6(src="2001:db8::1", dst="2001:db8::2") if outer_v6 else IP(src="1.1.1.1")
    tunnel = header if mode == Mode.TUNNEL else None
    sa = SecurityAssociation(ESP, spi=4, tunnel_header=tunnel, **algorithms)

    def length(size: int) -> int:
        inner = header / UDP(sport=1, dport=2)
        return len(sa.encrypt(inner / Raw(bytes(size - len(inner)))))

    assert length(limit) <= path_mtu < length(limit + 1)
