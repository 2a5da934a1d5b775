"""A postquantum preshared key of a peer, as a file describes it (RFC 8784)."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from p4esp.configuration.fields import FilePath
from p4esp.configuration.secret_files import read_secret
from p4esp.configuration.sections import Section
from p4esp.ike.auth.credentials import PostquantumKey

_FIXED: Final = b"\x02"
"""Type of a PPK_ID that names a configured key (RFC 8784 5.1)."""
_MIN: Final = 32
"""Octets: 256 bits leave 128 of security against a quantum computer (RFC 8784 6)."""
_MAX: Final = 4096


def read_ppk(path: Path) -> bytes:
    """The octets of a PPK file, without the line end; ValueError when it cannot be used."""
    key = read_secret(path, _MAX).rstrip(b"\r\n")
    if len(key) < _MIN:
        raise ValueError(f"{path}: {len(key)} octets; accepted: at least {_MIN}")
    return key


def _checked(path: Path) -> Path:
    read_ppk(path)
    return path


class PostquantumSection(Section):
    """A secret mixed into the keys, so that no broken key exchange gives them away."""

    id: str = Field(min_length=1, max_length=255)
    """Its name, the same at the peer."""
    file: Annotated[FilePath, AfterValidator(_checked)]
    """File with the key, at least 32 octets, mode 0600; a line end behind it does not count."""
    required: bool = False
    """Refuse a peer that does not use it."""

    def key(self) -> PostquantumKey:
        """The form the IKE core takes; ValueError when the file can no longer be used."""
        return PostquantumKey(_FIXED + self.id.encode(), read_ppk(self.file), self.required)
