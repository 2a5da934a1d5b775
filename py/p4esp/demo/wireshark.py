"""Files with which Wireshark and tshark decrypt the recorded wire.

They hold every key of the demonstration: that is their purpose. A controller writes such files
only when it is asked to export keys.
"""

from collections.abc import Iterable
from pathlib import Path

from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.keylog import esp_lines, ike_line
from p4esp.ipsec.key_line import HEAD, key_lines
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.key_export import ESP_FILE, IKE_FILE, SA_FILE, begin_secret_file


class KeyLog:
    """Collects the keys of IKE and child SAs, without duplicates: both ends report the same."""

    def __init__(self) -> None:
        self.ike: list[str] = []
        self.esp: list[str] = []
        self.sa: list[str] = []

    def ike_keys(self, spi_i: bytes, spi_r: bytes, suite: IkeSuite, keys: IkeKeys) -> None:
        """An IKE SA has its keys (a `KeyExport`)."""
        self._add(self.ike, [ike_line(spi_i, spi_r, suite, keys)])

    def child(self, child: ChildSaParams) -> None:
        """A child SA is up."""
        self._add(self.esp, esp_lines(child))
        self._add(self.sa, map(str, key_lines(child)))

    @staticmethod
    def _add(lines: list[str], new: Iterable[str]) -> None:
        lines.extend(line for line in new if line not in lines)

    def write(self, directory: Path) -> list[Path]:
        """Write `ikev2_decryption_table`, `esp_sa` and `p4esp_sa`, for the owner alone."""
        directory.mkdir(parents=True, exist_ok=True)
        files = {IKE_FILE: self.ike, ESP_FILE: self.esp, SA_FILE: [HEAD, *self.sa]}
        for name, lines in files.items():
            begin_secret_file(directory / name)
            (directory / name).write_text("".join(f"{line}\n" for line in lines))
        return [directory / name for name in files]


def command(directory: Path) -> str:
    """The command that shows the decrypted capture."""
    return (
        f"WIRESHARK_CONFIG_DIR={directory / 'wireshark'} tshark -r {directory / 'wire.pcap'} "
        "-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE"
    )
