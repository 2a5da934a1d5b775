"""What must survive the controller: security associations, policy ids, generations, boot ids.

Keys of child SAs are among it, because a restarted controller has to give them back to a
restarted engine; `sealing` says how they are protected at rest.
"""

from p4esp.store.database import Store
from p4esp.store.records import Placement, SaRecord, SaState
from p4esp.store.sealing import KeyFileError, Sealer, StoreError

__all__ = ["KeyFileError", "Placement", "SaRecord", "SaState", "Sealer", "Store", "StoreError"]
