"""Postquantum preshared keys of a peer, as a file describes them (RFC 8784, RFC 9867)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from p4esp.configuration.fields import FilePath
from p4esp.configuration.secret_files import read_secret
from p4esp.configuration.sections import Section
from p4esp.ike.ppk import (
    FIXED,
    MAX_NAME,
    MAX_SECRET,
    MIN_SECRET,
    FixedPpks,
    PostquantumKey,
    PpkMode,
    PpkPolicy,
    PpkSource,
)
from p4esp.store.ppks import PeerPpks, PpkStore
from p4esp.store.sealing import Sealer

_WAYS: Final = {
    "both": (PpkMode.INTERMEDIATE, PpkMode.AUTH),
    "intermediate": (PpkMode.INTERMEDIATE,),
    "auth": (PpkMode.AUTH,),
}


def read_ppk(path: Path) -> bytes:
    """The octets of a PPK file, without the line end; ValueError when it cannot be used."""
    key = read_secret(path, MAX_SECRET).rstrip(b"\r\n")
    if len(key) < MIN_SECRET:
        raise ValueError(f"{path}: {len(key)} octets; accepted: at least {MIN_SECRET}")
    return key


def _checked(path: Path) -> Path:
    read_ppk(path)
    return path


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is missing; accepted: what `p4esp ppk import` has made")
    return path


class PostquantumSection(Section):
    """A secret mixed into the keys, so that no broken key exchange gives them away."""

    id: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    """Name of one key that stays the same, as the peer knows it; with `file`."""
    file: Annotated[FilePath, AfterValidator(_checked)] | None = None
    """File with that key, at least 32 octets, mode 0600; a line end behind it does not count."""
    store: Annotated[FilePath, AfterValidator(_present)] | None = None
    """Instead: a file of any number of keys, made by `p4esp ppk import`; with `store_key`."""
    store_key: Annotated[FilePath, AfterValidator(_present)] | None = None
    """Key that seals the store, mode 0600."""
    required: bool = False
    """Refuse a peer that uses none of them."""
    use: Literal["both", "intermediate", "auth"] = "both"
    """Mix it in before IKE_AUTH (RFC 9867) or in it (RFC 8784); `both`: before, if the peer can."""
    rekey: bool = False
    """Mix another one into each new or rekeyed SA. Experimental: our formula is not confirmed."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = tuple(
            name for name in ("id", "file", "store", "store_key") if getattr(self, name) is not None
        )
        if given not in (("id", "file"), ("store", "store_key")):
            raise ValueError("accepted: either id and file, or store and store_key")
        if self.rekey and self.use == "auth":
            raise ValueError("rekey goes with RFC 9867; accepted: use = both or intermediate")
        return self

    def policy(self, peer: str) -> PpkPolicy:
        """The form the IKE core takes; ValueError when the file can no longer be used."""
        return PpkPolicy(self._source(peer), self.required, _WAYS[self.use], self.rekey)

    def _source(self, peer: str) -> PpkSource:
        store, store_key = self.store, self.store_key
        if store is not None and store_key is not None:
            return PeerPpks(peer, lambda: PpkStore(store, Sealer.from_file(store_key)))
        if self.id is None or self.file is None:
            raise ValueError("accepted: either id and file, or store and store_key")
        key = PostquantumKey(bytes([FIXED]) + self.id.encode(), read_ppk(self.file))
        return FixedPpks((key,))


def check_ppks(peers: Iterable[tuple[str, PostquantumSection | None]], *, allowed: bool) -> None:
    """ValueError for what nobody has confirmed without the switch; peers go by name."""
    for name, section in peers:
        if section is not None and section.rekey and not allowed:
            raise ValueError(
                f"peer {name}: ppk.rekey is experimental; "
                "accepted: experimental = true beside the peers, or rekey = false"
            )
