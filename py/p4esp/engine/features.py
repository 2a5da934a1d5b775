"""What an engine may have beyond version 1 of the crypto port (docs/crypto-port.md, section 9)."""

from typing import Final

SHOWN: Final = "shown"
TIH: Final = "tih"
LONG_HEADER: Final = "long-header"
NO_TRAILER: Final = "no-trailer"
SUB_KEYS: Final = "sub-keys"
PSP: Final = "psp"
PSP_RENEW: Final = "psp-renew"
#: All of them, which our engine has.
FEATURES: Final = (SHOWN, TIH, LONG_HEADER, NO_TRAILER, SUB_KEYS, PSP, PSP_RENEW)
