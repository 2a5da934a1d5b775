"""Name constraints of CA certificates (RFC 5280 4.2.1.10)."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509


class NameConstraintError(ValueError):
    """A certificate has a name that a CA above it may not give."""


def check_names(
    constraints: x509.NameConstraints | None, below: Iterable[x509.Certificate]
) -> None:
    """`NameConstraintError` when a certificate under the CA has a name outside its constraints.

    Self-issued CA certificates are exempt; the first of `below`, the end entity, never is.
    """
    if constraints is None:
        return
    for place, certificate in enumerate(below):
        if place and certificate.subject == certificate.issuer:
            continue
        for name in _names(certificate):
            _check(name, constraints)


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names += extension.value
    return names


def _check(name: x509.GeneralName, constraints: x509.NameConstraints) -> None:
    allowed = _of_kind(name, constraints.permitted_subtrees)
    if allowed and not any(_within(name, tree) for tree in allowed):
        raise NameConstraintError(f"{name.value!r} is outside what its CA may name")
    if any(_within(name, tree) for tree in _of_kind(name, constraints.excluded_subtrees)):
        raise NameConstraintError(f"{name.value!r} is excluded from what its CA may name")


def _of_kind(
    name: x509.GeneralName, trees: Sequence[x509.GeneralName] | None
) -> list[x509.GeneralName]:
    return [tree for tree in trees or () if type(tree) is type(name)]


def _within(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    match name, tree:
        case x509.DNSName(), x509.DNSName():
            return _domain_within(name.value, tree.value)
        case x509.RFC822Name(), x509.RFC822Name():
            return _mailbox_within(name.value.lower(), tree.value.lower())
        case x509.IPAddress(), x509.IPAddress():
            return _address_within(name, tree)
        case x509.DirectoryName(), x509.DirectoryName():
            return name.value.rdns[: len(tree.value.rdns)] == tree.value.rdns
    raise NameConstraintError(f"constraints on names such as {name} are not supported")


def _domain_within(name: str, tree: str) -> bool:
    """`example.com` holds itself and all below it."""
    ours, theirs = name.lower().split("."), tree.lower().lstrip(".").split(".")
    return theirs == [""] or ours[-len(theirs) :] == theirs


def _mailbox_within(name: str, tree: str) -> bool:
    """A whole mailbox, all mailboxes of a host, or with a leading dot those of a domain."""
    if "@" in tree:
        return name == tree
    host = name.rpartition("@")[2]
    return host.endswith(tree) if tree.startswith(".") else host == tree


def _address_within(name: x509.IPAddress, tree: x509.IPAddress) -> bool:
    network = tree.value
    if not isinstance(network, IPv4Network | IPv6Network):
        return name.value == network
    return name.value in network
