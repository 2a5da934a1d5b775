"""Keys that a gateway exports of what IKE agreed on open in tshark what it sends."""

from dataclasses import replace

import pytest
from controller_samples import CHILD
from format_lab import flow_frame, keys_of, proposals_of, running_format_lab
from scapy.packet import Raw
from tshark_dissector import LINK, judged, needs_tshark

from p4esp.ike.errors import KeyExportError
from p4esp.ike.keylog import esp_lines
from p4esp.ipsec.algorithms import SUITES
from p4esp.ipsec.key_line import key_lines
from p4esp.ipsec.sa import Layout, Wrap


@needs_tshark
@pytest.mark.parametrize(
    "name",
    ["sub-child", "spi-block", "header-in-trailer", "crypt-offset", "wesp", "wesp-v2", "eesp-full"],
)
async def test_a_negotiated_format_is_opened_with_the_exported_lines(tmp_path, name) -> None:
    async with running_format_lab(keys_of(name), esp=proposals_of(name)) as lab:
        await lab.tunnel_up()
        for port in range(4000, 4008):
            lab.left.host.send(flow_frame(lab.left, lab.right, port, b"by flow %d" % port))
        lab.wire.deliver()
        lines = [str(line) for line in key_lines(lab.live(lab.left).record.child)]
        packets = [LINK / Raw(packet.build()) for packet in lab.heard]
        sent = [inner for _, inner in lab.opened(lab.left, name)]
    for packet in packets:
        packet.type = 0x0800
    rows = judged(tmp_path, packets, lines)
    assert len(rows) == 8
    assert [(row.format, row.good, row.faults) for row in rows] == [(name, "1", frozenset())] * 8
    assert [row.inner for row in rows] == sent


def test_lines_have_the_addresses_of_their_direction_and_what_is_shown() -> None:
    layout = Layout("crypt-offset", shown_in=28, shown_out=24)
    inbound, outbound = key_lines(replace(CHILD, layout=layout))
    assert (inbound.source, inbound.destination) == (CHILD.remote, CHILD.local)
    assert (outbound.source, outbound.destination) == (CHILD.local, CHILD.remote)
    assert (inbound.shown, outbound.shown, inbound.esn) == (28, 24, True)
    assert (inbound.keys, outbound.keys) == (CHILD.keymat.inbound, CHILD.keymat.outbound)


def test_lines_of_eesp_have_the_format_and_the_secret_of_their_direction() -> None:
    layout = Layout("eesp-optimized", shown_out=32, format_out="eesp-full", numbered=False)
    for one_key, secret in ((False, "root"), (True, "key")):
        inbound, outbound = key_lines(replace(CHILD, layout=replace(layout, one_key=one_key)))
        assert (inbound.format, outbound.format) == ("eesp-optimized", "eesp-full")
        assert (inbound.shown, outbound.shown) == (0, 32)
        assert inbound.secret == outbound.secret == secret
        assert not inbound.numbered
        assert not outbound.esn


def test_wrapped_sas_are_lines_of_wesp() -> None:
    lines = key_lines(replace(CHILD, wrap=Wrap.ENCRYPTED))
    assert [line.format for line in lines] == ["wesp", "wesp"]


def test_a_suite_that_wireshark_reads_by_itself_has_no_line() -> None:
    for name in ("aes128-sha256", "null-sha256"):
        assert key_lines(replace(CHILD, suite=SUITES[name])) == []


def test_a_suite_that_no_dissector_reads_in_its_format_is_refused_by_name() -> None:
    wrapped = replace(CHILD, layout=Layout("wesp"), wrap=Wrap.ENCRYPTED)
    for name in ("aes128-sha256", "null-sha256"):
        child = replace(wrapped, suite=SUITES[name])
        assert key_lines(child) == []
        with pytest.raises(KeyExportError, match=f"nothing reads suite {name} in format wesp: "):
            esp_lines(child)
    with pytest.raises(KeyExportError, match=r"by itself .* format wesp; .*p4esp\.lua does"):
        esp_lines(wrapped)


def test_no_key_is_shown_by_repr() -> None:
    (line, _) = key_lines(CHILD)
    secrets = (CHILD.keymat.inbound.key, CHILD.keymat.inbound.salt)
    assert not [secret for secret in secrets if repr(secret)[2:-1] in repr(line)]
    assert all(secret.hex() in str(line) for secret in secrets)
