"""The forwarding-pipeline configuration (sections 14 and 15): verify, save, commit, read back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from finsy.proto import p4r

from p4esp.p4rt.digests import SendDigest
from p4esp.p4rt.entities import Clocks, Entities
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.replay import replay_state
from p4esp.p4rt.schema import Schema, read_schema
from p4esp.p4rt.schema_check import check_known_fields, check_unique_ids, match_program
from p4esp.switch import compiled
from p4esp.switch.device import Device
from p4esp.switch.errors import LoadError
from p4esp.switch.runtime.specs import program_spec

Action = p4r.SetForwardingPipelineConfigRequest
Response = p4r.GetForwardingPipelineConfigRequest


@dataclass(frozen=True, slots=True)
class _Installed:
    """A configuration and the entities it offers."""

    config: p4r.ForwardingPipelineConfig
    entities: Entities


class Pipeline:
    """The running configuration of a device, and the saved one that waits for COMMIT.

    `new_device` makes an empty, unconnected device: VERIFY tries a configuration there, and
    between VERIFY_AND_SAVE and COMMIT it takes the writes that COMMIT replays.
    """

    def __init__(
        self,
        device: Device,
        new_device: Callable[[], Device],
        clocks: Clocks,
        send_digest: SendDigest,
    ) -> None:
        self._device = device
        self._new_device = new_device
        self._clocks = clocks
        self._send_digest = send_digest
        self._running: _Installed | None = None
        self._saved: _Installed | None = None

    @property
    def running(self) -> Entities | None:
        """The entities that packets see; None before the first commit."""
        return self._running.entities if self._running else None

    def entities(self) -> Entities:
        """What Write and Read work on: the saved configuration if one waits, else the running."""
        installed = self._saved or self._running
        if installed is None:
            raise no_pipeline()
        return installed.entities

    def set(self, action: int, config: p4r.ForwardingPipelineConfig | None) -> None:
        """Carry out one `SetForwardingPipelineConfig`; errors leave everything as it was."""
        if action == Action.COMMIT:
            self._commit_saved(config)
            return
        if action not in _CONFIG_ACTIONS:
            invalid(f"action {action} is not set or unknown; accepted: VERIFY to COMMIT")
        if config is None:
            invalid("config is missing; it is required for every action but COMMIT")
        if action == Action.RECONCILE_AND_COMMIT:
            self._reconcile(config)
            return
        schema = _verify(config)
        if action == Action.VERIFY_AND_COMMIT:
            self._install(config, schema)
            return
        scratch = self._new_device()
        _load(scratch, config.p4_device_config)
        if action == Action.VERIFY_AND_SAVE:
            self._saved = self._installed(config, schema, scratch, lambda _: None)

    def get(self, response_type: int) -> p4r.ForwardingPipelineConfig:
        """The configuration in force, with the fields that `response_type` asks for."""
        installed = self._saved or self._running
        if installed is None:
            raise no_pipeline()
        if response_type not in _PARTS:
            invalid(f"response_type {response_type} is unknown; accepted: 0..3")
        answer = p4r.ForwardingPipelineConfig()
        answer.CopyFrom(installed.config)
        for part in _PARTS[response_type]:
            answer.ClearField(part)
        return answer

    def _install(self, config: p4r.ForwardingPipelineConfig, schema: Schema) -> None:
        """Replace the running program; all forwarding state is cleared."""
        _load(self._device, config.p4_device_config)
        self._running = self._installed(config, schema, self._device, self._send_digest)
        self._saved = None
        self._device.on_digest(self._running.entities.digests.learn)

    def _installed(
        self,
        config: p4r.ForwardingPipelineConfig,
        schema: Schema,
        device: Device,
        send_digest: SendDigest,
    ) -> _Installed:
        copy = p4r.ForwardingPipelineConfig()
        copy.CopyFrom(config)
        return _Installed(copy, Entities(schema, device, self._clocks, send_digest))

    def _commit_saved(self, config: p4r.ForwardingPipelineConfig | None) -> None:
        if config is not None:
            invalid("config is set; COMMIT takes the one of the last VERIFY_AND_SAVE")
        saved = self._saved
        if saved is None:
            raise P4RuntimeError(Code.NOT_FOUND, "no saved config: no VERIFY_AND_SAVE came before")
        self._install(saved.config, saved.entities.schema)
        assert self._running is not None
        replay_state(saved.entities, self._running.entities)

    def _reconcile(self, config: p4r.ForwardingPipelineConfig) -> None:
        """State survives only where the program is the same: registers cannot be carried over."""
        running = self._running
        same = running is not None and (
            running.config.p4info == config.p4info
            and running.config.p4_device_config == config.p4_device_config
        )
        if running is None or not same:
            raise P4RuntimeError(
                Code.UNIMPLEMENTED,
                "RECONCILE_AND_COMMIT to another program is not supported, its registers would "
                "be lost; accepted: the running config, or VERIFY_AND_COMMIT",
            )
        running.config.cookie.CopyFrom(config.cookie)
        self._saved = None


_CONFIG_ACTIONS = frozenset(
    (
        Action.VERIFY,
        Action.VERIFY_AND_SAVE,
        Action.VERIFY_AND_COMMIT,
        Action.RECONCILE_AND_COMMIT,
    )
)

_PARTS: dict[int, tuple[Literal["p4info", "p4_device_config"], ...]] = {
    Response.ALL: (),
    Response.COOKIE_ONLY: ("p4info", "p4_device_config"),
    Response.P4INFO_AND_COOKIE: ("p4_device_config",),
    Response.DEVICE_CONFIG_AND_COOKIE: ("p4info",),
}
"""The fields that each response type leaves out."""


def no_pipeline() -> P4RuntimeError:
    """FAILED_PRECONDITION in the words that P4Runtime clients look for."""
    return P4RuntimeError(
        Code.FAILED_PRECONDITION, "No forwarding pipeline config set for this device"
    )


def _verify(config: p4r.ForwardingPipelineConfig) -> Schema:
    """Both halves of the configuration are sound and agree; else INVALID_ARGUMENT."""
    if not config.HasField("p4info"):
        invalid("config.p4info is missing")
    if not config.p4_device_config:
        invalid("config.p4_device_config is empty; accepted: bmv2 JSON as p4c writes it")
    check_known_fields(config.p4info)
    check_unique_ids(config.p4info)
    schema = read_schema(config.p4info)
    try:
        program = program_spec(compiled.read(config.p4_device_config))
    except LoadError as error:
        invalid(f"config.p4_device_config: {error}")
    return match_program(schema, program)


def _load(device: Device, json_bytes: bytes) -> None:
    try:
        device.load(json_bytes)
    except LoadError as error:
        invalid(f"config.p4_device_config: {error}")
