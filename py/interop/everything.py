"""Our daemon with all its extensions switched on, those of drafts included."""

from dataclasses import fields
from typing import Final

from our_daemon import P4ESP
from p4esp.ike.extension_wishes import ExtensionWishes
from pairing import Terms

EVERYTHING: Final = {field.name: True for field in fields(ExtensionWishes)}


def everything(program: tuple[str, ...] = (str(P4ESP),)) -> Terms:
    """The peer has what it has by default."""
    return Terms(
        our_peer={"extensions": EVERYTHING, "mobike": True, "follow_redirects": True},
        our_file={"experimental": True},
        our_program=program,
    )
