"""The typed error of the P4Runtime server and the canonical codes it carries."""

from enum import IntEnum
from typing import NoReturn

from finsy.proto import rpc_code

from p4esp.switch.entries import TableError


class Code(IntEnum):
    """Canonical gRPC codes used by the server (google.rpc.Code)."""

    OK = rpc_code.OK
    UNKNOWN = rpc_code.UNKNOWN
    INVALID_ARGUMENT = rpc_code.INVALID_ARGUMENT
    NOT_FOUND = rpc_code.NOT_FOUND
    ALREADY_EXISTS = rpc_code.ALREADY_EXISTS
    PERMISSION_DENIED = rpc_code.PERMISSION_DENIED
    RESOURCE_EXHAUSTED = rpc_code.RESOURCE_EXHAUSTED
    FAILED_PRECONDITION = rpc_code.FAILED_PRECONDITION
    OUT_OF_RANGE = rpc_code.OUT_OF_RANGE
    ABORTED = rpc_code.ABORTED
    UNIMPLEMENTED = rpc_code.UNIMPLEMENTED
    UNAVAILABLE = rpc_code.UNAVAILABLE


class P4RuntimeError(Exception):
    """A request, update or stream message that the server refuses.

    `code` is the canonical code the client sees; `message` says what was wrong, where, and what
    would be accepted.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def from_table_error(cls, error: TableError, where: str) -> "P4RuntimeError":
        """The error of the packet core, told with the P4 entity it happened to."""
        return cls(Code[error.code.name], f"{where}: {error.message}")


def invalid(message: str) -> NoReturn:
    """Raise INVALID_ARGUMENT with `message`."""
    raise P4RuntimeError(Code.INVALID_ARGUMENT, message)
