"""A format as plain data, for JSON."""

from __future__ import annotations

from typing import Any

from p4esp.ipsec.formats.model import Field, Format, Notify, Parameters, Proposal

SAMPLES = (64, 577, 1400)
"""Octets of inner packets whose overhead is told; 577 is not a multiple of 4."""


def describe(form: Format) -> dict[str, Any]:
    """All that is known of a format."""
    return {
        "name": form.name,
        "title": form.title,
        "number": int(form.number),
        "p4_name": form.number.name,
        "protocol": form.protocol,
        "udp_port": form.udp_port,
        "source": _source(form),
        "fields": [_field(field) for field in form.layout()],
        "rules": rules(form),
        "overhead": {str(outer): overheads(form, outer) for outer in (4, 6)},
        "modes": list(form.modes),
        "targets": list(form.targets),
        "tail": form.tail_use.value,
        "negotiation": {
            "agreement": form.agreement,
            "notifies": [_notify(notify) for notify in form.notifies],
            "proposal": None if form.proposal is None else _proposal(form.proposal),
        },
        "words": words(form),
    }


def _source(form: Format) -> dict[str, Any]:
    source = form.source
    told = {"short": source.short, "text": source.text, "ours": source.ours}
    return told | {"standing": source.standing}


def rules(form: Format) -> dict[str, str]:
    """Its rules in words, by what they are about."""
    return {
        "layout": form.layout_rule,
        "AAD": form.aad_rule,
        "nonce": form.nonce_rule,
        "trailer": form.trailer_rule,
        "replay": form.replay_rule,
    }


def words(form: Format) -> dict[str, str]:
    """What it is for."""
    return {
        "problem": form.problem,
        "costs": form.costs,
        "buys": form.buys,
        "limits": form.limits,
    }


def overheads(form: Format, outer: int, parameters: Parameters | None = None) -> dict[int, int]:
    """Overhead of a tunnel over that IP version, by octets of the inner packet."""
    return {payload: form.overhead(payload, outer, parameters) for payload in SAMPLES}


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "bits": field.bits,
        "encrypted": field.encrypted,
        "authenticated": field.proof.value,
        "meaning": field.meaning,
    }


def _notify(notify: Notify) -> dict[str, Any]:
    return {
        "notify": notify.name,
        "number": notify.number,
        "data": list(notify.data),
        "example": notify.example.hex(),
        "example_means": notify.example_means,
    }


def _proposal(proposal: Proposal) -> dict[str, Any]:
    return {
        "protocol": proposal.protocol,
        "transforms": list(proposal.transforms),
        "example": proposal.example.hex(),
        "example_means": proposal.example_means,
    }
