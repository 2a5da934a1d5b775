"""docs/crypto-port.md says what the code does: example bytes, codes, transforms, bounds."""

import re
from pathlib import Path

import pytest

from p4esp.engine import Direction, Engine, Flag, KeySpec, Status
from p4esp.engine.check.cases import REORDER
from p4esp.engine.check.requests import vector_open, vector_seal
from p4esp.engine.check.vectors import VECTORS
from p4esp.engine.features import FEATURES
from p4esp.engine.guard import MAX_RETIRED, REORDER_WINDOW
from p4esp.engine.psp import MASTER_LEN, MAX_CACHED
from p4esp.engine.subkeys import HKDF_SHA2_256, MAX_SUBS, ROOT_LEN
from p4esp.engine.transforms import Transform, lookup, offered

DOC = (Path(__file__).parents[3] / "docs" / "crypto-port.md").read_text()
BLOCKS = {
    name: bytes.fromhex(body)
    for name, body in re.findall(r"^```hex ([a-z-]+)\n(.*?)^```", DOC, re.M | re.S)
}
VECTOR = VECTORS["D1"]


@pytest.fixture
def engine() -> Engine:
    # Zero in place of random numbers: the first handle is 1.
    engine = Engine(random_bytes=bytes)
    for direction in (Direction.SEAL, Direction.OPEN):
        engine.install(KeySpec(direction, VECTOR.transform, VECTOR.key, VECTOR.salt, 3, 7))
    return engine


def test_example_requests_are_those_of_the_codec() -> None:
    fields = {"gen": 3, "sa": 7, "space": 9}
    assert BLOCKS["seal-request"] == vector_seal(1, VECTOR, **fields).encode()
    assert BLOCKS["open-request"] == vector_open(2, VECTOR, **fields).encode()


def test_example_replies_are_those_of_the_engine(engine: Engine) -> None:
    seal, open_ = BLOCKS["seal-request"], BLOCKS["open-request"]
    assert engine.process(seal) == BLOCKS["seal-reply"]
    assert engine.process(seal) == BLOCKS["refused-reply"]
    assert engine.process(open_) == BLOCKS["open-reply"]
    assert engine.process(open_[:45] + b"\x03" + open_[46:]) == BLOCKS["malformed-reply"]


def test_example_names_key_and_salt() -> None:
    assert f"key `{VECTOR.key.hex()}`, salt `{VECTOR.salt.hex()}`, generation 3" in DOC


def test_status_and_flag_tables_have_every_code() -> None:
    table = dict(re.findall(r"^\| ([A-Z_]+) \| (0x[0-9A-F]{2}) \|", DOC, re.M))
    codes = [s for s in Status if s not in (Status.DONE, Status.REQUEST)]
    assert table == {code.name: f"0x{code:02X}" for code in (*codes, *Flag.__members__.values())}


def test_feature_table_has_every_feature() -> None:
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", DOC, re.M)) == FEATURES


def test_bounds_of_sub_keys_are_the_codes() -> None:
    assert f"that many keys, at most {MAX_SUBS:,}" in DOC
    assert f"`key` is the root, of {ROOT_LEN} bytes" in DOC
    assert f"`{HKDF_SHA2_256}`" in DOC


def test_bounds_of_psp_are_the_codes() -> None:
    assert f"keeps the last {MAX_CACHED:,} derived keys" in DOC
    assert f"both master keys of {MASTER_LEN} bytes" in DOC


def test_transform_table_has_every_transform_and_its_lengths() -> None:
    name, lengths, number = r"([A-Z0-9*-]+)", r"([\d, ]+)", r"(\d+)"
    row = rf"^\| {name} \| {lengths} \| {number} \| {number} \| (\w+) \| {number} \| {number} \|"
    found = {}
    for pattern, keys, salt, integrity, iv, icv, align in re.findall(row, DOC, re.M):
        rest = (int(salt), int(integrity), iv, int(icv), int(align))
        for key in map(int, keys.split(", ")):
            found[pattern.replace("*", str(8 * key))] = (key, *rest)
    assert found == {name: lengths_of(lookup(name)) for name in offered()}


def lengths_of(transform: Transform) -> tuple[int, int, int, str, int, int]:
    words = {(True, 0): "implicit", (False, 16): "drawn", (False, 0): "none"}
    iv = words.get((transform.guarded, transform.iv_len), str(transform.iv_len))
    sizes = (transform.key_len, transform.salt_len, transform.integrity_len)
    return (*sizes, iv, transform.icv_len, transform.align)


def test_guard_bounds_are_the_codes() -> None:
    assert f"at least {REORDER} packets; ours has {REORDER_WINDOW}" in DOC
    assert f"the last {MAX_RETIRED:,}" in DOC
