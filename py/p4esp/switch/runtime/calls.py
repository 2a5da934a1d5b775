"""Action calls of the control plane to rows of the generated code and back."""

from __future__ import annotations

from p4esp.switch.entries import ActionCall, ErrorCode, TableError
from p4esp.switch.program import ActionSpec
from p4esp.switch.runtime.stores import Row


class CallCodec:
    """Rows (action number, arguments...) for the actions of one table or profile."""

    def __init__(self, owner: str, actions: tuple[ActionSpec, ...]) -> None:
        self._owner = owner
        self._actions = actions
        self._numbers = {action.name: (n, len(action.params)) for n, action in enumerate(actions)}

    def row(self, call: ActionCall) -> Row:
        """The row; INVALID_ARGUMENT for a foreign action or a wrong number of arguments."""
        known = self._numbers.get(call.name)
        if known is None:
            names = ", ".join(self._numbers)
            raise self._error(f"action {call.name} is not one of: {names}")
        number, count = known
        if len(call.args) != count:
            raise self._error(f"action {call.name} takes {count} arguments, got {len(call.args)}")
        return (number, *call.args)

    def call(self, row: Row) -> ActionCall:
        """The action call a row stands for."""
        return ActionCall(self._actions[row[0]].name, tuple(row[1:]))

    def _error(self, text: str) -> TableError:
        return TableError(ErrorCode.INVALID_ARGUMENT, f"{self._owner}: {text}")
