"""Run inside `unshare -rn`: a switch port on a TAP interface, spoken to through its descriptor.

Prints one JSON object: the frames that came back (hex) for each case.
"""

import asyncio
import fcntl
import json
import os
import random
import socket
import struct
import time
from pathlib import Path

from p4esp.switch.device import Device
from p4esp.switch.entries import ActionCall, Exact, TableEntry
from p4esp.switch.ports.linux import InterfaceError, InterfaceSpec, LinuxPort

PROGRAM = Path(__file__).parents[1] / "p4rt" / "programs" / "entities.json"
TUNSETIFF, SIOCGIFFLAGS, SIOCSIFFLAGS = 0x400454CA, 0x8913, 0x8914
IFF_TAP, IFF_NO_PI, IFF_UP = 0x0002, 0x1000, 0x1
PLAIN = bytes(5) + b"\xa0" + bytes(6) + b"\x90\0" + bytes(50)
TAGGED = bytes(5) + b"\xa0" + bytes(6) + b"\x81\0\x20\x0a\x90\0" + bytes(50)
COUNT = 200


def open_tap(name: str) -> int:
    """A TAP interface that is up."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    with socket.socket() as control:
        request = struct.pack("16sH22x", name.encode(), 0)
        flags = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)[0]
        request = struct.pack("16sH22x", name.encode(), flags | IFF_UP)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)
    return tap


async def read_frames(tap: int, count: int) -> list[bytes]:
    """The next frames of ours that leave through the interface."""
    frames: list[bytes] = []
    async with asyncio.timeout(10):
        while len(frames) < count:
            try:
                frame = os.read(tap, 65536)
            except BlockingIOError:
                await asyncio.sleep(0.001)
                continue
            if frame.startswith(PLAIN[:12]):  # the kernel speaks IPv6 by itself
                frames.append(frame)
    return frames


async def session() -> dict[str, object]:
    """Echo frames through the switch: the program sends address a0 back to port 0."""
    tap = open_tap("p4esp0")
    device = Device(time.monotonic_ns, random.Random(1))
    device.load(PROGRAM.read_bytes())
    action = ActionCall("ingress.forward", (0,))
    device.table("ingress.host").insert(TableEntry((Exact(0xA0),), action))
    port = LinuxPort(device, InterfaceSpec(0, "p4esp0"))
    facts: dict[str, object] = {}
    for name, frame in (("plain", PLAIN), ("tagged", TAGGED)):
        os.write(tap, frame)
        facts[name] = [one.hex() for one in await read_frames(tap, 1)] == [frame.hex()]
    for number in range(COUNT):
        os.write(tap, PLAIN + number.to_bytes(2))
    numbers = [int.from_bytes(one[-2:]) for one in await read_frames(tap, COUNT)]
    facts["burst"] = numbers == list(range(COUNT))
    port.close()
    try:
        LinuxPort(device, InterfaceSpec(1, "p4esp1"))
    except InterfaceError as error:
        facts["missing"] = str(error)
    return facts


print(json.dumps(asyncio.run(session())))
