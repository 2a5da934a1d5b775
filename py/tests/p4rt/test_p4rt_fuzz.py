"""Whatever a client sends is carried out or refused with the typed error, and never half done."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from finsy.proto import p4r
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from p4rt_cases import ACCEPTED
from p4rt_harness import ENTITIES as P

from p4esp.p4rt.entities import Clocks, Entities
from p4esp.p4rt.errors import P4RuntimeError
from p4esp.p4rt.pipeline import Pipeline
from p4esp.p4rt.roles import RoleConfig
from p4esp.p4rt.write import BatchWriter
from p4esp.switch.device import Device

IDS = [
    item.preamble.id
    for kind in ("tables", "actions", "action_profiles", "counters", "meters", "digests")
    for item in getattr(P.p4info, kind)
]
SMALL = st.integers(0, 5)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_INT32: SMALL | st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: SMALL | st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: SMALL | st.sampled_from(IDS) | st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: SMALL | st.integers(0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(0, 9),
    FieldDescriptor.CPPTYPE_STRING: st.binary(max_size=7),
}
DEPTH = 4


def fill(draw: Callable[[st.SearchStrategy[Any]], Any], message: Any, depth: int = 0) -> None:
    """Set some of the fields of `message` to drawn values, members of a oneof included."""
    descriptor: Descriptor = message.DESCRIPTOR
    if not descriptor.fields:
        return
    fields = st.sampled_from(list(descriptor.fields))
    for field in draw(st.lists(fields, max_size=2, unique_by=lambda field: field.number)):
        if field.message_type is None:
            is_text = field.type == FieldDescriptor.TYPE_STRING
            value = draw(st.text(max_size=7) if is_text else SCALARS[field.cpp_type])
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        elif depth < DEPTH and field.message_type.full_name != "google.protobuf.Any":
            target = getattr(message, field.name)
            target = target.add() if field.is_repeated else target
            if not field.is_repeated:
                target.SetInParent()
            fill(draw, target, depth + 1)


VALID = [case.update() for case in ACCEPTED]


@st.composite
def updates(draw: Callable[[st.SearchStrategy[Any]], Any]) -> p4r.Update:
    """A valid update of any kind of entity with some of its fields changed."""
    update = p4r.Update()
    update.CopyFrom(draw(st.sampled_from(VALID)))
    update.type = draw(st.sampled_from([1, 1, 1, 2, 3, 0]))
    fill(draw, getattr(update.entity, update.entity.WhichOneof("entity")))
    return update


@pytest.fixture(scope="module")
def entities() -> Entities:
    """The handlers of the test program on a device of their own."""

    def new_device() -> Device:
        return Device(time.monotonic_ns, random.Random(1))

    clocks = Clocks(time.monotonic_ns, time.time_ns)
    pipeline = Pipeline(new_device(), new_device, clocks, lambda _: None)
    pipeline.set(p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT, P.config())
    return pipeline.entities()


@settings(max_examples=200)
@given(update=updates())
def test_any_update_is_carried_out_or_refused_by_the_typed_error(
    entities: Entities, update: p4r.Update
) -> None:
    kind = update.entity.WhichOneof("entity") or ""
    handler, message = entities.handlers[kind], getattr(update.entity, kind)
    try:
        BatchWriter(entities, RoleConfig()).apply(update)
    except P4RuntimeError:
        return
    is_there = handler.snapshot(message) is not None
    assert is_there is (update.type != p4r.Update.DELETE)


@settings(max_examples=200)
@given(query=updates())
def test_any_read_ends_or_is_refused_by_the_typed_error(
    entities: Entities, query: p4r.Update
) -> None:
    kind = query.entity.WhichOneof("entity") or ""
    handler = entities.handlers[kind]
    try:
        for _ in handler.read(getattr(query.entity, kind), p4r.Entity):
            pass
    except P4RuntimeError:
        return
