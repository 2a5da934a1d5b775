"""What must never happen, checked over what was seen (design, section 2, "Never").

Feed a Recorder with packets, engine exchanges, windows, counters and logs, then call
``assert_none``. Nothing here knows how the packets came about.
"""

from p4esp.invariants.model import InvariantError, Policy, Role, Rule, Verdict, Violation
from p4esp.invariants.recorder import Recorder

__all__ = [
    "InvariantError",
    "Policy",
    "Recorder",
    "Role",
    "Rule",
    "Verdict",
    "Violation",
]
