"""SAs and events as JSON-ready values, for commands and traces. They never hold keys."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.encrypted_dns import Resolver
from p4esp.ike.events import Event, IkeSaInfo
from p4esp.ike.internal_config import InternalConfig
from p4esp.ike.path import Path
from p4esp.ipsec.sa import ChildSaParams, Share


def event_as_json(event: Event) -> dict[str, Any]:
    """An event with its name, such as `child-up`, and its facts."""
    facts = {name: _value(getattr(event, name)) for name in event.__dataclass_fields__}
    return {"event": event_name(event), **facts}


def event_name(event: Event) -> str:
    """The class's name as a word with dashes."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


def ike_as_json(ike: IkeSaInfo) -> dict[str, Any]:
    """An IKE SA; SPIs in hexadecimal."""
    return {
        "peer": ike.peer,
        "spi": ike.spi.hex(),
        "peer_spi": ike.peer_spi.hex(),
        "initiator": ike.initiator,
        "local": str(ike.path.local),
        "remote": str(ike.path.remote),
        "local_id": str(ike.local_id or ""),
        "remote_id": str(ike.remote_id or ""),
        "suite": ike.suite,
        "ppk": ike.ppk.value,
        "ppk_id": ike.ppk_id,
        "extensions": list(ike.extensions),
        "resumed": ike.resumed,
        "nat": {"local": ike.nat.local, "remote": ike.nat.remote} if ike.nat else None,
    }


def child_as_json(child: ChildSaParams) -> dict[str, Any]:
    """A child SA; SPIs in hexadecimal, as in packets."""
    return {
        "peer": child.peer,
        "name": child.name,
        "spi_in": f"{child.spi_in:08x}",
        "spi_out": f"{child.spi_out:08x}",
        "suite": str(child.suite),
        "esn": child.esn,
        "mode": child.mode.value,
        "format": str(child.layout),
        **_share_as_json(child.share),
        "local": str(child.local),
        "remote": str(child.remote),
        "local_ts": list(map(str, child.local_ts)),
        "remote_ts": list(map(str, child.remote_ts)),
        "udp": child.encapsulation is not None,
        "initiator": child.initiator,
    }


def config_as_json(config: InternalConfig) -> dict[str, Any]:
    """What an initiator got of the responder's network, resolvers the preferred first."""
    return {
        "addresses": list(map(str, config.addresses)),
        "dns": list(map(str, config.dns)),
        "subnets": list(map(str, config.subnets)),
        "resolvers": list(map(_resolver_as_json, config.resolvers)),
        "domains": list(config.domains),
    }


def _resolver_as_json(resolver: Resolver) -> dict[str, Any]:
    how, digest = resolver.parameters, resolver.digest
    return {
        "priority": resolver.priority,
        "name": resolver.name,
        "addresses": list(map(str, resolver.addresses)),
        "alpn": list(how.alpn),
        "port": how.port,
        "dohpath": how.dohpath or None,
        "others": {str(key): value.hex() for key, value in how.others},
        "digest": digest and {"algorithm": digest.algorithm, "value": digest.value.hex()},
    }


def _share_as_json(share: Share) -> dict[str, Any]:
    """What is not said of an SA that takes all there is."""
    return {
        **({} if share.resource is None else {"resource": share.resource.hex()}),
        **({"dscps": list(share.dscps)} if share.dscps else {}),
        **({"label": share.label.decode("ascii", "backslashreplace")} if share.label else {}),
    }


def _path_as_json(path: Path) -> dict[str, Any]:
    return {"local": str(path.local), "remote": str(path.remote)}


_OF_TYPE: Final[Mapping[type, Callable[[Any], Any]]] = {
    IkeSaInfo: ike_as_json,
    ChildSaParams: child_as_json,
    InternalConfig: config_as_json,
    Share: _share_as_json,
    DeleteReason: DeleteReason.as_json,
    Path: _path_as_json,
    bytes: bytes.hex,
}


def _value(value: object) -> Any:
    known = _OF_TYPE.get(type(value))
    if known is not None:
        return known(value)
    match value:
        case tuple():
            return [_value(one) for one in value]
        case bool() | int() | None:
            return value
        case _:
            return str(value)
