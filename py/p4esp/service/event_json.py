"""SAs and events as JSON-ready values, for commands and traces. They never hold keys."""

import re
from typing import Any

from p4esp.ike.events import Event, IkeSaInfo
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
        "ppk": ike.ppk,
        "extensions": list(ike.extensions),
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


def _share_as_json(share: Share) -> dict[str, Any]:
    """What is not said of an SA that takes all there is."""
    return {
        **({} if share.resource is None else {"resource": share.resource.hex()}),
        **({"dscps": list(share.dscps)} if share.dscps else {}),
        **({"label": share.label.decode("ascii", "backslashreplace")} if share.label else {}),
    }


def _value(value: object) -> Any:
    match value:
        case IkeSaInfo():
            return ike_as_json(value)
        case ChildSaParams():
            return child_as_json(value)
        case Path():
            return {"local": str(value.local), "remote": str(value.remote)}
        case bytes():
            return value.hex()
        case bool() | int() | None:
            return value
        case _:
            return str(value)
