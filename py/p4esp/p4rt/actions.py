"""Actions of the program (section 9.1.2): `Action` messages to `ActionCall` and back."""

from collections.abc import Callable
from dataclasses import dataclass

from finsy.proto import p4r

from p4esp.p4rt.bytestring import UintDecoder, encode_uint, uint_decoder
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.switch.entries import ActionCall

ActionDecoder = Callable[[p4r.Action], ActionCall]


@dataclass(frozen=True, slots=True)
class ActionParam:
    """A run-time parameter of an action; `width` in bits."""

    param_id: int
    name: str
    width: int


@dataclass(frozen=True, slots=True)
class ActionInfo:
    """An action of the p4info."""

    action_id: int
    name: str
    params: tuple[ActionParam, ...]

    def __str__(self) -> str:
        return f"action '{self.name}'"


@dataclass(frozen=True, slots=True)
class ActionRef:
    """An action as one table may use it: in entries, as default action, or both."""

    action: ActionInfo
    in_entries: bool = True
    as_default: bool = True


class ActionCodec:
    """The actions that one table (or action profile) accepts, decoded by action id."""

    def __init__(self, where: str, refs: tuple[ActionRef, ...]) -> None:
        self._where = where
        self._refs = refs
        self._decoders = {
            ref.action.action_id: _action_decoder(where, ref.action)
            for ref in refs
            if ref.in_entries
        }
        self._default_decoders = {
            ref.action.action_id: _action_decoder(where, ref.action)
            for ref in refs
            if ref.as_default
        }

    def decode(self, action: p4r.Action) -> ActionCall:
        """The call for a table entry; unknown actions and parameters are INVALID_ARGUMENT."""
        decoder = self._decoders.get(action.action_id)
        if decoder is None:
            raise self._refuse(action.action_id, "entries")
        return decoder(action)

    def decode_default(self, action: p4r.Action) -> ActionCall:
        """The call for the default entry."""
        decoder = self._default_decoders.get(action.action_id)
        if decoder is None:
            raise self._refuse(action.action_id, "the default entry")
        return decoder(action)

    def _refuse(self, action_id: int, place: str) -> P4RuntimeError:
        default = place != "entries"
        accepted = [ref.action for ref in self._refs if (default and ref.as_default)]
        accepted += [ref.action for ref in self._refs if (not default and ref.in_entries)]
        names = ", ".join(f"{info.action_id:#x} ({info.name})" for info in accepted) or "none"
        known = any(ref.action.action_id == action_id for ref in self._refs)
        return P4RuntimeError(
            Code.PERMISSION_DENIED if known else Code.INVALID_ARGUMENT,
            f"{self._where}: action id {action_id:#x} is not allowed in {place}; accepted: {names}",
        )


class ActionEncoder:
    """Writes `ActionCall`s back into `Action` messages, for any action of the program."""

    def __init__(self, actions: tuple[ActionInfo, ...]) -> None:
        self._actions = {
            info.name: (info.action_id, tuple(param.param_id for param in info.params))
            for info in actions
        }

    def action_id(self, call: ActionCall) -> int:
        """The p4info id of the called action."""
        return self._actions[call.name][0]

    def encode(self, message: p4r.Action, call: ActionCall) -> None:
        """Fill `message` with `call`, values in canonical form."""
        message.action_id, param_ids = self._actions[call.name]
        add = message.params.add
        for param_id, value in zip(param_ids, call.args, strict=True):
            param = add()
            param.param_id = param_id
            param.value = encode_uint(value)


def _action_decoder(where: str, info: ActionInfo) -> ActionDecoder:
    slots = tuple(
        (param.param_id, uint_decoder(_param_place(where, info, param), param.width))
        for param in info.params
    )
    name, count = info.name, len(slots)

    def decode(action: p4r.Action) -> ActionCall:
        params = action.params
        if len(params) != count:
            return _decode_unordered(where, info, slots, action)
        args = []
        for param, (param_id, decode_value) in zip(params, slots, strict=True):
            if param.param_id != param_id:
                return _decode_unordered(where, info, slots, action)
            args.append(decode_value(param.value))
        return ActionCall(name, tuple(args))

    return decode


def _decode_unordered(
    where: str, info: ActionInfo, slots: tuple[tuple[int, UintDecoder], ...], action: p4r.Action
) -> ActionCall:
    """Parameters in any order; each one exactly once."""
    given = {param.param_id: param.value for param in action.params}
    if len(given) != len(action.params):
        invalid(f"{where}, {info}: a parameter is given twice; accepted: {_param_list(info)}")
    if given.keys() != dict(slots).keys():
        ids = ", ".join(map(str, given)) or "none"
        invalid(f"{where}, {info}: parameter ids {ids} given; accepted: {_param_list(info)}")
    return ActionCall(info.name, tuple(decode(given[param_id]) for param_id, decode in slots))


def _param_place(where: str, info: ActionInfo, param: ActionParam) -> str:
    return f"{where}, {info}, parameter '{param.name}' (id {param.param_id}, bit<{param.width}>)"


def _param_list(info: ActionInfo) -> str:
    return ", ".join(f"{param.param_id} ({param.name})" for param in info.params) or "none"
