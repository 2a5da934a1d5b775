"""Unix sockets that only their owner can use."""

import os
import socket
import stat
from pathlib import Path


class SocketPathError(OSError):
    """A socket path that is not safe to serve on."""


def prepare_socket_path(path: Path) -> None:
    """Make ``path`` free for a socket of ours; SocketPathError when that is not safe.

    The directory must belong to us or root and be closed to other writers (or sticky). What
    stands at the path must be a socket of ours that nobody serves.
    """
    _check_directory(path.resolve().parent)
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketPathError(f"{path} exists and is no socket; remove it or name another path")
    if found.st_uid != os.geteuid():
        raise SocketPathError(f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}")
    if _is_served(path):
        raise SocketPathError(f"{path} is served by a running process")
    path.unlink()


def _check_directory(directory: Path) -> None:
    try:
        found = directory.stat()
    except OSError as error:
        raise SocketPathError(f"directory {directory} of the socket: {error}") from error
    if found.st_uid not in (0, os.geteuid()):
        raise SocketPathError(f"directory {directory} belongs to user {found.st_uid}, not to us")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise SocketPathError(f"directory {directory} is writable by others; use mode 0700")


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def listen(path: Path) -> socket.socket:
    """A listening socket of mode 0600; SocketPathError when the path is unsafe or in use."""
    prepare_socket_path(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The umask covers the instant between bind and chmod.
    previous = os.umask(0o177)
    try:
        server.bind(str(path))
        server.listen()
    except OSError as error:
        server.close()
        raise SocketPathError(f"cannot bind {path}: {error}") from None
    finally:
        os.umask(previous)
    return server
