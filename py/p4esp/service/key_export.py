"""Keys for Wireshark and tshark, where the operator asks for them by name.

Whoever has these files can read and forge the traffic.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.crypto.suite import IkeSuite
from p4esp.ike.errors import KeyExportError
from p4esp.ike.keylog import esp_lines, ike_line
from p4esp.ike.state import KeyExport
from p4esp.ipsec.key_line import HEAD, key_lines
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.journal import Entry, Journal, Kind

IKE_FILE: Final = "ikev2_decryption_table"
ESP_FILE: Final = "esp_sa"
"""Wireshark's own names for files of a profile."""
SA_FILE: Final = "p4esp_sa"
"""That of our dissector, which knows every format and cipher of ours."""


class KeyExporter(Protocol):
    """Takes the keys of each SA."""

    def ike_keys(self, spi_i: bytes, spi_r: bytes, suite: IkeSuite, keys: IkeKeys) -> None:
        """An IKE SA has its keys, be it new or rekeyed (a `KeyExport`)."""

    def child(self, child: ChildSaParams) -> None:
        """A child SA is up."""


def ike_key_export(exporter: KeyExporter | None) -> KeyExport | None:
    """The form in which an endpoint takes an exporter."""
    return None if exporter is None else exporter.ike_keys


class KeyFiles:
    """Appends a line to a file of mode 0600 for each SA, as soon as it has keys."""

    def __init__(self, directory: Path, journal: Journal) -> None:
        """Begins the files anew; OSError when they cannot be written."""
        self._journal = journal
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = (IKE_FILE, ESP_FILE, SA_FILE)
        self._ike, self._esp, self._sa = (directory / name for name in files)
        for path in (self._ike, self._esp, self._sa):
            begin_secret_file(path)
        _append(self._sa, [HEAD])
        text = "whoever reads these files can read and forge all traffic"
        self._note(Kind.KEYS_EXPORTED, str(directory), text)

    def ike_keys(self, spi_i: bytes, spi_r: bytes, suite: IkeSuite, keys: IkeKeys) -> None:
        """Write the keys of an IKE SA."""
        try:
            _append(self._ike, [ike_line(spi_i, spi_r, suite, keys)])
        except (KeyExportError, OSError) as error:
            self._note(Kind.NOT_EXPORTED, f"{spi_i.hex()} {spi_r.hex()}", str(error))

    def child(self, child: ChildSaParams) -> None:
        """Write the keys of a child SA, for our dissector and for Wireshark's own."""
        try:
            _append(self._sa, map(str, key_lines(child)))
            _append(self._esp, esp_lines(child))
        except (KeyExportError, OSError) as error:
            self._note(Kind.NOT_EXPORTED, f"{child.peer}/{child.name}", str(error))

    def _note(self, kind: Kind, subject: str, text: str) -> None:
        self._journal.add(Entry("WARNING", kind, subject, text))


def begin_secret_file(path: Path) -> None:
    """An empty file that only its owner can read; what was there is gone."""
    path.unlink(missing_ok=True)  # a file that exists keeps its mode
    path.touch(mode=0o600, exist_ok=False)


def _append(path: Path, lines: Iterable[str]) -> None:
    """To the file that we began: OSError when another has taken its place."""
    with open(path, "a", opener=_open_ours) as file:
        file.writelines(f"{line}\n" for line in lines)


def _open_ours(path: str, flags: int) -> int:
    file = os.open(path, flags & ~os.O_CREAT | os.O_NOFOLLOW)
    facts = os.fstat(file)
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        os.close(file)
        raise OSError(f"{path} is not the file of mode 0600 that was begun")
    return file
