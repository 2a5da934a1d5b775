"""The key exchange methods there are (IANA IKEv2 transform type 4)."""

from p4esp.ike.crypto.curves import X25519, Ecp256, Ecp384, Ecp521
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.crypto.mlkem import MlKem768, MlKem1024
from p4esp.ike.crypto.modp import Modp1024, Modp1536, Modp2048, Modp3072, Modp4096

_METHODS: tuple[type[KeyExchangeMethod], ...] = (
    X25519,
    Ecp256,
    Ecp384,
    Ecp521,
    Modp2048,
    Modp3072,
    Modp4096,
    MlKem768,
    MlKem1024,
    Modp1536,
    Modp1024,
)
KEY_EXCHANGES: dict[int, type[KeyExchangeMethod]] = {m.transform_id: m for m in _METHODS}

TOO_LARGE_FOR_INIT = frozenset({MlKem768.name, MlKem1024.name})
"""IKE_SA_INIT cannot be fragmented, so these come in later exchanges (ikev2-mlkem 1.2)."""
WEAK = frozenset({Modp1536.name, Modp1024.name})
"""Keywords that only a peer marked `allow_weak` may use."""
