"""One builder for each table of the pipeline: typed arguments in, an `Entry` out.

A table of IPv4 has a twin for IPv6; one builder fills both, by the family of what it is given.
"""

from p4esp.controller.tables.associations import (
    MTU_MAX,
    NO_IPV4,
    PORT_MAX,
    OpenWith,
    SealWith,
    beet_v6,
    in_policy,
    layer4_delta,
    peer,
    sa_in,
    sa_out,
    sad,
    tunnel_v6,
    within_v6,
)
from p4esp.controller.tables.forwarding import (
    boot_id,
    crypto_port,
    egress_if,
    ike_sa,
    local,
    neighbour,
    port_role,
    route,
)
from p4esp.controller.tables.matches import PacketMatch, lpm, of_family
from p4esp.controller.tables.policies import (
    policy_version,
    sa_member,
    sa_select,
    sa_select_set,
    spd_bypass,
    spd_discard,
    spd_discard_unseen,
    spd_protect,
)

__all__ = [
    "MTU_MAX",
    "NO_IPV4",
    "PORT_MAX",
    "OpenWith",
    "PacketMatch",
    "SealWith",
    "beet_v6",
    "boot_id",
    "crypto_port",
    "egress_if",
    "ike_sa",
    "in_policy",
    "layer4_delta",
    "local",
    "lpm",
    "neighbour",
    "of_family",
    "peer",
    "policy_version",
    "port_role",
    "route",
    "sa_in",
    "sa_member",
    "sa_out",
    "sa_select",
    "sa_select_set",
    "sad",
    "spd_bypass",
    "spd_discard",
    "spd_discard_unseen",
    "spd_protect",
    "tunnel_v6",
    "within_v6",
]
