"""The extensions every endpoint should run with."""

from p4esp.ike.extensions.auth_announcement import AuthAnnouncement
from p4esp.ike.extensions.base import Extension
from p4esp.ike.extensions.certificate_requests import CertificateRequests
from p4esp.ike.extensions.child_pfs import CHILD_PFS_INFO
from p4esp.ike.extensions.childless import ChildlessInitiation
from p4esp.ike.extensions.crash_detection import CrashDetection
from p4esp.ike.extensions.encrypted_ping import ENCRYPTED_PING
from p4esp.ike.extensions.experimental import ExperimentalNumbers
from p4esp.ike.extensions.fragmentation import Fragmentation
from p4esp.ike.extensions.full_transcript import FULL_TRANSCRIPT
from p4esp.ike.extensions.initial_contact import InitialContact
from p4esp.ike.extensions.intermediate import Intermediate
from p4esp.ike.extensions.message_id_sync import MESSAGE_IDS, ReplayCounters
from p4esp.ike.extensions.mobike import Mobike
from p4esp.ike.extensions.mtu_detection import MtuDetection
from p4esp.ike.extensions.nat_detection import NatDetection
from p4esp.ike.extensions.optimized_rekey import OPTIMIZED_REKEYS
from p4esp.ike.extensions.postquantum import PostquantumKeys
from p4esp.ike.extensions.redirect import Redirect
from p4esp.ike.extensions.resumption import SessionTickets
from p4esp.ike.extensions.revised_cookie import RevisedCookie
from p4esp.ike.extensions.signature_hashes import SignatureHashes
from p4esp.ike.extensions.vendor import PrivateNumbers

STANDARD: tuple[Extension, ...] = (
    ExperimentalNumbers(),
    PrivateNumbers(),
    CHILD_PFS_INFO,
    OPTIMIZED_REKEYS,
    NatDetection(),
    SignatureHashes(),
    Fragmentation(),
    Intermediate(),
    PostquantumKeys(),
    FULL_TRANSCRIPT,
    CertificateRequests(),
    ChildlessInitiation(),
    InitialContact(),
    Mobike(),
    MtuDetection(),
    Redirect(),
    ENCRYPTED_PING,
    RevisedCookie(),
    AuthAnnouncement(),
    CrashDetection(),
    SessionTickets(),
    MESSAGE_IDS,
    ReplayCounters(),
)
"""Those of vendor IDs come first: others ask what they found."""
