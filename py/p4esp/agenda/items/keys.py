"""What goes into the keys of an IKE SA, and what proves how they were agreed on."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from p4esp.agenda.configuring import extension, together
from p4esp.agenda.model import Amend, Claim, Evidence, Item, Run, Section
from p4esp.ike.ppk import MIN_SECRET

_NAME: Final = "tour"
_FULL: Final = "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH"
_HYBRID: Final = "aes256gcm16-prfsha256-x25519-ke1_mlkem768"


@cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    """It goes with the process."""
    return tempfile.TemporaryDirectory(prefix="p4esp-tour-")


@cache
def _key_file() -> Path:
    """A key that is nobody's."""
    path = Path(_directory().name) / "ppk"
    path.touch(mode=0o600)
    path.write_bytes(bytes(range(MIN_SECRET)))
    return path


def _ppk(**keys: Any) -> Amend:
    """A PPK at both gateways."""

    def amend(_: str, section: Section) -> None:
        section["experimental"] = True
        section["peers"][0]["ppk"] = {"id": _NAME, "file": str(_key_file()), **keys}

    return amend


def _ike_proposal(_: str, section: Section) -> None:
    section["peers"][0]["proposals"] = [_HYBRID]


def _has(mode: str) -> Claim:
    return Claim(
        f"the PPK is in the keys by the way of RFC {mode} at both",
        lambda _, after: all(
            (ike["ppk"], ike["ppk_id"]) == (mode, f"fixed:{_NAME}")
            for ends in after.ike.values()
            for ike in ends
        ),
    )


def _rounds(count: int) -> Claim:
    """Fragments of a message are one message here."""
    return Claim(
        f"{count} IKE_INTERMEDIATE before IKE_AUTH",
        lambda _, after: len(after.messages_of("IKE_INTERMEDIATE request")) == count,
    )


def _hybrid(evidence: Evidence) -> bool:
    return all("mlkem768" in ike["suite"] for ends in evidence.ike.values() for ike in ends)


_TESTS: Final = "py/tests/ike/"
_AGREED: Final = Claim(
    "both ends prove both messages of IKE_SA_INIT, and only where they are to",
    lambda before, after: after.agreed(_FULL) and not before.agreed(_FULL),
)

ITEMS: Final = (
    Item(
        "ppk-auth",
        "Postquantum preshared keys in IKE_AUTH",
        ("RFC 8784",),
        f"{_TESTS}test_postquantum_keys.py::test_both_ends_with_the_same_key_use_it",
        having=Run(_ppk(required=True, use="auth")),
        claims=(_has("8784"), _rounds(0)),
    ),
    Item(
        "ppk-intermediate",
        "Alternative for postquantum preshared keys: in IKE_INTERMEDIATE",
        ("RFC 9867",),
        f"{_TESTS}test_ppk_in_ike_intermediate.py"
        "::test_the_keys_are_those_of_the_rfc_worked_out_with_hmac_alone",
        having=Run(_ppk(required=True)),
        claims=(_has("9867"), _rounds(1)),
    ),
    Item(
        "ppk-and-mlkem",
        "ML-KEM-768 and a postquantum preshared key in one IKE_INTERMEDIATE",
        ("RFC 9370", "draft-ietf-ipsecme-ikev2-mlkem", "RFC 9867"),
        f"{_TESTS}test_ppk_in_ike_intermediate.py"
        "::test_the_key_goes_in_with_the_last_key_exchange_and_after_it",
        having=Run(together(_ppk(required=True), _ike_proposal)),
        claims=(
            _has("9867"),
            _rounds(1),
            Claim("ML-KEM-768 is agreed on", lambda _, after: _hybrid(after)),
        ),
    ),
    Item(
        "full-transcript",
        "Prevention of downgrades: AUTH covers both messages",
        ("draft-ietf-ipsecme-ikev2-downgrade-prevention",),
        f"{_TESTS}test_full_transcript.py::test_both_ends_prove_both_messages",
        lacking=Run(extension(full_transcript=False)),
        having=Run(extension(full_transcript=True)),
        claims=(_AGREED,),
        negotiated=lambda after: list(after.ike["left"][0]["extensions"]),
    ),
)
