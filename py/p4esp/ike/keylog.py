"""Key export for Wireshark. Nothing here runs unless the operator explicitly asks for keys.

The lines are those of the files `ikev2_decryption_table` and `esp_sa` in a Wireshark profile
directory (columns as in version 4.0).
"""

from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.errors import KeyExportError
from p4esp.ipsec.algorithms import AES_GCM_16, Suite
from p4esp.ipsec.sa import ChildSaParams, DirectionKeys
from p4esp.ipsec.selectors import Address

_NO_INTEGRITY = "NONE [RFC4306]"


def ike_line(spi_i: bytes, spi_r: bytes, suite: IkeSuite, keys: IkeKeys) -> str:
    """One row of `ikev2_decryption_table`: SPIs, SK_ei, SK_er, cipher, SK_ai, SK_ar, integrity."""
    fields = (spi_i.hex(), spi_r.hex(), keys.ei.hex(), keys.er.hex())
    cipher = f"AES-GCM-{_gcm(suite.cipher).key_bits} with 16 octet ICV [RFC5282]"
    return f'{",".join(fields)},"{cipher}",,,"{_NO_INTEGRITY}"'


def esp_lines(child: ChildSaParams) -> tuple[str, str]:
    """Two rows of `esp_sa`: inbound, outbound."""
    _gcm(child.suite)
    inbound = _esp_line(child.remote, child.local, child.spi_in, child.keymat.inbound)
    outbound = _esp_line(child.local, child.remote, child.spi_out, child.keymat.outbound)
    return inbound, outbound


def _esp_line(source: Address, destination: Address, spi: int, keys: DirectionKeys) -> str:
    fields = (
        f"IPv{source.version}",
        str(source),
        str(destination),
        f"0x{spi:08x}",
        "AES-GCM with 16 octet ICV [RFC4106]",
        f"0x{(keys.key + keys.salt).hex()}",
        "NULL",
        "",
    )
    return ",".join(f'"{field}"' for field in fields)


def _gcm(suite: Suite) -> Suite:
    if suite.encryption is not AES_GCM_16:
        raise KeyExportError(f"Wireshark 4.0 cannot decrypt {suite}; it can AES-GCM with 16 octets")
    return suite
