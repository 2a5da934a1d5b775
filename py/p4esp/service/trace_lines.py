"""IKE messages as lines of JSON, for the operator who asks for them. No secrets."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO

from p4esp.ike.trace import TraceRecord


class TraceLines:
    """Writes a line for each message that is sent, received or dropped."""

    def __init__(self, stream: TextIO, wall_clock: Callable[[], datetime]) -> None:
        self._stream = stream
        self._wall_clock = wall_clock
        self._missing = 0

    def write(self, name: str, record: TraceRecord) -> None:
        """`name`: the gateway, or the daemon. Lines that cannot be written are counted in the next
        one that can: IKE does not end with the room for its trace.
        """
        time = self._wall_clock().isoformat(timespec="microseconds")
        line: dict[str, Any] = {"time": time, "gateway": name}
        facts = {key: value for key, value in record.as_json().items() if key != "time"}
        if self._missing:
            facts["missing"] = self._missing
        try:
            self._stream.write(json.dumps(line | facts) + "\n")
            self._stream.flush()
        except OSError:
            self._missing += 1
        else:
            self._missing = 0
