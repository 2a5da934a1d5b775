"""The committed stubs are those of their .proto files (`make protos` writes them anew)."""

from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from proto_source import parse

from p4esp.proto import dataplane_interface_pb2, engine_v1_pb2

PROTO = Path(engine_v1_pb2.__file__).parent
STUBS = (dataplane_interface_pb2, engine_v1_pb2)


def compiled(stub: ModuleType) -> FileDescriptorProto:
    """What the compiler put into a stub; JSON names follow from the others."""
    file = FileDescriptorProto.FromString(stub.DESCRIPTOR.serialized_pb)
    for message in file.message_type:
        for part in (message, *message.nested_type):
            for field in part.field:
                field.ClearField("json_name")
    return file


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.__name__)
def test_a_stub_is_compiled_from_its_source(stub: ModuleType) -> None:
    name = stub.DESCRIPTOR.name
    assert compiled(stub) == parse(PROTO / Path(name).name, name)


def test_every_source_has_a_stub_and_a_typed_interface() -> None:
    sources = {path.stem for path in PROTO.glob("*.proto")}
    assert sources == {stub.__name__.rpartition(".")[2].removesuffix("_pb2") for stub in STUBS}
    assert sources == {path.stem.removesuffix("_pb2") for path in PROTO.glob("*.pyi")}


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "engine_v1.proto"
    source = (PROTO / "engine_v1.proto").read_text()
    for old, new in (("octets = 7", "octets = 8"), ("bool ready", "bytes ready")):
        assert old in source
        changed.write_text(source.replace(old, new))
        name = engine_v1_pb2.DESCRIPTOR.name
        assert compiled(engine_v1_pb2) != parse(changed, name)
