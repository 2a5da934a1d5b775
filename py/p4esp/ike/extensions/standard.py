"""The extensions every endpoint should run with."""

from p4esp.ike.extensions.base import Extension
from p4esp.ike.extensions.fragmentation import Fragmentation
from p4esp.ike.extensions.initial_contact import InitialContact
from p4esp.ike.extensions.nat_detection import NatDetection

STANDARD: tuple[Extension, ...] = (NatDetection(), Fragmentation(), InitialContact())
