"""Actions of the program (section 9.1.2): `Action` messages to `ActionCall` and back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import ge

from finsy.proto import p4r

from p4esp.p4rt.bytestring import encode_uint, uint_decoder
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.switch.entries import ActionCall


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
            ref.action.action_id: _ActionDecoder(where, ref.action)
            for ref in refs
            if ref.in_entries
        }
        self._default_decoders = {
            ref.action.action_id: _ActionDecoder(where, ref.action)
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
            info.name: (info.action_id, tuple(map(_param_writer, info.params))) for info in actions
        }

    def action_id(self, call: ActionCall) -> int:
        """The p4info id of the called action."""
        return self._actions[call.name][0]

    def encode(self, message: p4r.Action, call: ActionCall) -> None:
        """Fill `message` with `call`, values in canonical form."""
        message.action_id, writers = self._actions[call.name]
        params = [write(arg) for write, arg in zip(writers, call.args, strict=True)]
        message.MergeFromString(b"".join(params))


class _ActionDecoder:
    """One action: its parameters in any order, each exactly once, as the arguments of a call.

    A batch of 1,000 updates has some 20,000 parameters, so what is done to each of them is done by
    builtins over all of an action, and only a value that is wrong is looked at by itself.
    """

    ORDERS = 16
    """Orders of parameters that are remembered; clients stick to one."""

    def __init__(self, where: str, info: ActionInfo) -> None:
        self._where, self._info = where, info
        self._ids = tuple(param.param_id for param in info.params)
        self._limits = tuple(1 << param.width for param in info.params)
        self._orders: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __call__(self, action: p4r.Action) -> ActionCall:
        """OUT_OF_RANGE or INVALID_ARGUMENT for what is not a call of this action."""
        ids, values = [], []
        for param in action.params:
            ids.append(param.param_id)
            values.append(param.value)
        given = tuple(ids)
        if given != self._ids:
            values = [values[place] for place in self._order(given)]
        args = tuple(map(int.from_bytes, values))
        if not all(values) or any(map(ge, args, self._limits)):
            self._refuse_value(values)
        return ActionCall(self._info.name, args)

    def _order(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """Where each parameter of the p4info stands in `given`."""
        order = self._orders.get(given)
        if order is None:
            self._check_ids(given)
            if len(self._orders) >= self.ORDERS:
                self._orders.clear()
            order = self._orders[given] = tuple(map(given.index, self._ids))
        return order

    def _check_ids(self, given: tuple[int, ...]) -> None:
        accepted = f"accepted: {_param_list(self._info)}"
        if len(set(given)) != len(given):
            invalid(f"{self._where}, {self._info}: a parameter is given twice; {accepted}")
        if set(given) != set(self._ids):
            ids = ", ".join(map(str, given)) or "none"
            invalid(f"{self._where}, {self._info}: parameter ids {ids} given; {accepted}")

    def _refuse_value(self, values: list[bytes]) -> None:
        for param, value in zip(self._info.params, values, strict=True):
            uint_decoder(_param_place(self._where, self._info, param), param.width)(value)


def _param_writer(param: ActionParam) -> Callable[[int], bytes]:
    """A function from a value to the serialised parameter, in canonical form.

    Parsing an action is quicker than setting the fields of its messages one by one; many entries
    have the same value of a parameter.
    """
    starts = [_param_start(param.param_id, size) for size in range((param.width + 7) // 8 + 1)]

    @lru_cache(maxsize=256)
    def write(value: int) -> bytes:
        data = encode_uint(value)
        return starts[len(data)] + data

    return write


def _param_start(param_id: int, size: int) -> bytes:
    """What stands before a value of `size` bytes."""
    param = p4r.Action.Param(param_id=param_id, value=bytes(size))
    start: bytes = p4r.Action(params=[param]).SerializeToString()
    return start.removesuffix(bytes(size))


def _param_place(where: str, info: ActionInfo, param: ActionParam) -> str:
    return f"{where}, {info}, parameter '{param.name}' (id {param.param_id}, bit<{param.width}>)"


def _param_list(info: ActionInfo) -> str:
    return ", ".join(f"{param.param_id} ({param.name})" for param in info.params) or "none"
