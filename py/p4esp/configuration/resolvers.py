"""Name servers with encryption that peers are told of, as a file describes them (RFC 9464)."""

from collections.abc import Iterable, Iterator
from typing import Literal, Self

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import Field, model_validator

from p4esp.configuration.fields import Address, DomainName, FilePath, Network
from p4esp.configuration.pem_files import read_certificates
from p4esp.configuration.sections import Section
from p4esp.ike.codec.service_parameters import ServiceParameters, is_template
from p4esp.ike.encrypted_dns import Resolver, ResolverOffer

Protocol = Literal["dot", "doq", "h2", "h3"]
_HTTPS = {"h2", "h3"}


class ResolverSection(Section):
    """A resolver that peers should ask over TLS, QUIC or HTTPS."""

    name: DomainName
    """Its name, which its certificate is for."""
    addresses: tuple[Address, ...] = Field(min_length=1, max_length=16)
    """Where it is, inside `local` of a child SA; at least one."""
    alpn: tuple[Protocol, ...] = Field(min_length=1)
    """What it speaks: `dot` for TLS, `doq` for QUIC, `h2` and `h3` for HTTPS."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port; unset: 853, of HTTPS 443."""
    dohpath: str | None = None
    """Template of the path for HTTPS, such as `/dns-query{?dns}`."""
    priority: int = Field(default=1, ge=1, le=65535)
    """The smaller is preferred, 1..65535."""
    certificate: FilePath | None = None
    """Its certificate in PEM: the digest of its key is told to peers that ask for it."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if (self.dohpath is None) == bool(_HTTPS & set(self.alpn)):
            raise ValueError("accepted: dohpath with h2 or h3, and only then")
        if self.dohpath is not None and not is_template(self.dohpath):
            raise ValueError("accepted: a dohpath with the variable dns, as in /dns-query{?dns}")
        self._public_key()
        return self

    def offers(self) -> Iterator[ResolverOffer]:
        """The form the IKE core takes, one for each IP version; ValueError for a bad file."""
        key = self._public_key()
        how = ServiceParameters(self.alpn, self.port, self.dohpath or "")
        for version in (4, 6):
            addresses = tuple(one for one in self.addresses if one.version == version)
            if addresses:
                yield ResolverOffer(Resolver(self.priority, self.name, addresses, how), key)

    def _public_key(self) -> bytes:
        if self.certificate is None:
            return b""
        key = read_certificates(self.certificate)[0].public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_reachable(resolvers: Iterable[ResolverSection], nets: Iterable[Network]) -> None:
    """ValueError for a resolver whose address no child SA of its peer carries."""
    carried = tuple(nets)
    for resolver in resolvers:
        for address in resolver.addresses:
            if not any(address in net for net in carried):
                held = ", ".join(map(str, carried)) or "none: there is no child"
                raise ValueError(
                    f"resolver {resolver.name}: {address} is in `local` of no child; "
                    f"accepted: an address in {held}"
                )
