"""Meter configurations (section 9.4): trTCM rates per second and bursts."""

from finsy.proto import p4r

from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.switch.entries import MeterConfig


def decode_meter_config(where: str, config: p4r.MeterConfig) -> MeterConfig:
    """A two-rate three-colour configuration; INVALID_ARGUMENT if the rates make no sense."""
    if config.eburst:
        invalid(f"{where}: eburst is for single-rate meters; accepted: 0")
    if min(config.cir, config.cburst, config.pir, config.pburst) < 0:
        invalid(f"{where}: a rate or burst is negative; accepted: 0 or more")
    if config.cir > config.pir:
        invalid(f"{where}: cir {config.cir} is above pir {config.pir}")
    return MeterConfig(config.cir, config.cburst, config.pir, config.pburst)


def encode_meter_config(message: p4r.MeterConfig, config: MeterConfig) -> None:
    """Fill `message`; the default configuration is told by leaving the message unset."""
    message.cir = config.cir
    message.cburst = config.cburst
    message.pir = config.pir
    message.pburst = config.pburst


def refuse_meter_counters(where: str) -> P4RuntimeError:
    """Per-colour counters are optional in P4Runtime and not kept here."""
    return P4RuntimeError(
        Code.UNIMPLEMENTED, f"{where}: per-colour meter counters (MeterCounterData) are not kept"
    )
