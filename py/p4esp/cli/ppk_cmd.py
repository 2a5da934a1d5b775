"""``p4esp ppk``: the store of postquantum preshared keys, also while a gateway uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from p4esp.cli.failures import one_line
from p4esp.configuration.secret_files import read_secret
from p4esp.configuration.sections import ConfigError
from p4esp.ike.ppk import FIXED, OPAQUE, PostquantumKey, shown
from p4esp.store.ppks import PpkStore
from p4esp.store.sealing import Sealer, StoreError

app = typer.Typer(
    help="A sealed store of postquantum preshared keys. Key octets are never printed.",
    no_args_is_help=True,
)
MAX_FILE: Final = 16 << 20
"""Octets of a file of keys."""
_LINES: Final = "accepted: a name, a blank, a key in hexadecimal"

StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="The store.")]
KeyOption = Annotated[Path, typer.Option("--store-key", help="Key that seals it.")]
PeerOption = Annotated[str, typer.Option("--peer", help="Name of the peer in the configuration.")]
OnceOption = Annotated[bool, typer.Option("--once", help="Each key is used once.")]


@app.command("import")
def import_command(
    store: StoreArgument,
    keys: Annotated[
        Path, typer.Argument(help="Lines of a name, a blank and a key in hexadecimal; mode 0600.")
    ],
    peer: PeerOption,
    store_key: KeyOption,
    once: OnceOption = False,
) -> None:
    """Add keys for a peer, all or none; store and sealing key are made when missing."""
    with one_line("ppk import"):
        added = list(_keys_in(keys, OPAQUE if once else FIXED))
        if not added:
            raise ConfigError(f"{keys}: no line; {_LINES}")
        with closing(PpkStore(store, Sealer.from_file(store_key))) as opened:
            opened.add(peer, added)
        kind = "used once" if once else "that stay the same"
        typer.echo(f"{store}: {len(added)} key(s) {kind} for {peer}")


def _keys_in(path: Path, kind: int) -> Iterator[PostquantumKey]:
    """ConfigError names a line that is wrong, but not what it holds."""
    try:
        octets = read_secret(path, MAX_FILE)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for number, line in enumerate(octets.decode(errors="replace").splitlines(), 1):
        name, _, key = line.strip().rpartition(" ")
        try:
            secret = bytes.fromhex(key)
        except ValueError:
            secret = b""
        if not name or not secret:
            raise ConfigError(f"{path}: line {number}: {_LINES}")
        yield PostquantumKey(bytes([kind]) + name.strip().encode(), secret)


@app.command("list")
def list_command(
    store: StoreArgument,
    store_key: KeyOption,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Names of the keys, and which have been used."""
    with one_line("ppk list"), closing(_existing(store, store_key)) as opened:
        facts = [
            {"peer": one.peer, "id": shown(one.identity), "used": one.sealed is None}
            for one in opened.listed()
        ]
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table("peer", "id", "state", box=None)
    for fact in facts:
        table.add_row(str(fact["peer"]), str(fact["id"]), "used" if fact["used"] else "ready")
    Console().print(table)


@app.command("remove")
def remove_command(
    store: StoreArgument,
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    peer: PeerOption,
    store_key: KeyOption,
    once: OnceOption = False,
) -> None:
    """Forget a key; IKE SAs that have it keep it until they end."""
    identity = bytes([OPAQUE if once else FIXED]) + name.encode()
    with one_line("ppk remove"), closing(_existing(store, store_key)) as opened:
        if not opened.remove(peer, identity):
            raise StoreError(f"{store}: {peer} has no {shown(identity)}")
        typer.echo(f"{store}: {shown(identity)} of {peer} is gone")


def _existing(store: Path, store_key: Path) -> PpkStore:
    for path in (store, store_key):
        if not path.is_file():
            raise StoreError(f"{path} is missing; accepted: what `p4esp ppk import` has made")
    return PpkStore(store, Sealer.from_file(store_key))
