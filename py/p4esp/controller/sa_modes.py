"""The mode of a child SA as the pipeline knows it, and what the pipeline refuses by name."""

from p4esp.controller import numbers
from p4esp.controller.errors import ControllerError
from p4esp.controller.packets import checksum
from p4esp.ipsec.sa import ChildSaParams, Mode, Wrap
from p4esp.ipsec.selectors import TrafficSelector


class UnsupportedSaError(ControllerError):
    """The pipeline cannot carry such an SA; the text says why, and what it can."""


def pipeline_mode(child: ChildSaParams) -> numbers.Mode:
    """The pipeline's number of a mode; BEET has one for each inner family."""
    if child.mode is not Mode.BEET:
        return numbers.Mode[child.mode.name]
    inner_v6 = child.remote_ts[0].version == 6
    return numbers.Mode.BEET_V6 if inner_v6 else numbers.Mode.BEET_V4


def check_carriable(child: ChildSaParams) -> None:
    """UnsupportedSaError for an SA that no entries of ours could carry."""
    if child.local.version != child.remote.version:
        raise UnsupportedSaError(
            f"outer addresses {child.local} and {child.remote}; accepted: two of one family"
        )
    if child.mode is Mode.TRANSPORT:
        _check_transport(child)
    elif child.mode is Mode.BEET:
        _check_beet(child)
    if child.wrap is Wrap.VISIBLE and child.suite.encrypts:
        raise UnsupportedSaError(
            f"WESP that shows the payload with {child.suite}, which encrypts; "
            f"accepted: {Wrap.NONE} and {Wrap.ENCRYPTED}, or a suite that does not encrypt"
        )


def _check_transport(child: ChildSaParams) -> None:
    """The packets have the outer addresses, so the selectors have no others."""
    for side, host, selectors in (
        ("local", child.local, child.local_ts),
        ("remote", child.remote, child.remote_ts),
    ):
        if any((ts.first, ts.last) != (host, host) for ts in selectors):
            raise UnsupportedSaError(
                f"transport mode with {side} selectors {_list(selectors)}; accepted: {host}"
            )


def _check_beet(child: ChildSaParams) -> None:
    """The inner addresses are not sent: there is one pair of them."""
    both = (*child.local_ts, *child.remote_ts)
    if len(both) != 2 or both[0].version != both[1].version or any(map(_is_range, both)):
        raise UnsupportedSaError(
            f"BEET mode with selectors {_list(child.local_ts)} - {_list(child.remote_ts)}; "
            "accepted: one address on each side, both of one family"
        )


def _is_range(selector: TrafficSelector) -> bool:
    return selector.first != selector.last


def _list(selectors: tuple[TrafficSelector, ...]) -> str:
    return ", ".join(map(str, selectors))


def layer4_delta(child: ChildSaParams) -> int:
    """What a NAT's new addresses add to checksums (RFC 1624: ~m + m'); 0 where nothing changes."""
    if child.mode is not Mode.TRANSPORT or child.original is None:
        return 0
    peer, us = child.original
    before = checksum(peer.packed + us.packed)
    after = checksum(child.remote.packed + child.local.packed)
    return (before - after) % 0xFFFF
