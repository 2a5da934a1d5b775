"""Action profiles and selectors."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from switch_lab import Lab, lab

from p4esp.switch.entries import (
    ActionCall,
    ErrorCode,
    Exact,
    GroupRef,
    MemberRef,
    TableEntry,
    TableError,
)
from p4esp.switch.runtime import hashes

DIRECT, CHOSEN, HIT = 4, 5, 6


def result(running: Lab, a: int = 0, b: int = 0, flow: int = 0) -> bytes:
    [(_, answer)] = running.send(bytes([a, b]) + flow.to_bytes(2, "big"))
    return answer


def chosen(value: int) -> ActionCall:
    return ActionCall("ingress.set_chosen", (value,))


def with_group(members: list[tuple[int, int]]) -> Lab:
    running = lab("profile")
    profile = running.device.action_profile("ingress.chooser")
    for member in range(4):
        profile.insert_member(member, chosen(member + 1))
    profile.insert_group(1, members)
    table = running.device.table("ingress.chosen_t")
    table.insert(TableEntry((Exact(1),), GroupRef(1)))
    return running


def refused(code: ErrorCode, call, *args) -> None:
    with pytest.raises(TableError) as caught:
        call(*args)
    assert caught.value.code is code


def test_a_member_changed_under_an_entry_is_what_packets_see():
    running = lab("profile")
    profile = running.device.action_profile("ingress.direct_profile")
    profile.insert_member(3, ActionCall("ingress.set_direct", (7,)))
    table = running.device.table("ingress.direct_t")
    table.insert(TableEntry((Exact(1),), MemberRef(3)))
    assert result(running, a=1)[DIRECT] == 7
    profile.modify_member(3, ActionCall("ingress.set_direct", (8,)))
    assert result(running, a=1)[DIRECT] == 8
    assert [e.action for e in table.entries()] == [MemberRef(3)]


def test_a_miss_in_a_profile_table_does_nothing():
    assert result(lab("profile"), a=5)[DIRECT:] == bytes(3)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 65535))
def test_the_hash_of_the_selector_keys_chooses_the_member(flow):
    running = with_group([(0, 1), (1, 1), (2, 2)])
    place = hashes.crc16(flow, 16) % 4
    assert result(running, b=1, flow=flow)[CHOSEN] == [1, 2, 3, 3][place]


def test_a_changed_group_is_what_packets_see():
    running = with_group([(0, 1)])
    running.device.action_profile("ingress.chooser").modify_group(1, [(3, 1)])
    assert result(running, b=1)[CHOSEN] == 4


def test_an_empty_group_hits_and_does_nothing():
    running = with_group([])
    assert result(running, b=1)[CHOSEN:] == bytes([0, 1])


def test_members_and_groups_in_use_cannot_be_deleted():
    running = with_group([(0, 1)])
    profile = running.device.action_profile("ingress.chooser")
    refused(ErrorCode.FAILED_PRECONDITION, profile.delete_member, 0)
    refused(ErrorCode.FAILED_PRECONDITION, profile.delete_group, 1)
    running.device.table("ingress.chosen_t").delete((Exact(1),))
    profile.delete_group(1)
    profile.delete_member(0)
    assert [i for i, _ in profile.members()] == [1, 2, 3]
    assert list(profile.groups()) == []


def test_wrong_references_are_refused():
    running = lab("profile")
    chooser = running.device.action_profile("ingress.chooser")
    direct = running.device.action_profile("ingress.direct_profile")
    table = running.device.table("ingress.chosen_t")
    refused(ErrorCode.NOT_FOUND, table.insert, TableEntry((Exact(1),), MemberRef(9)))
    refused(ErrorCode.NOT_FOUND, table.insert, TableEntry((Exact(1),), GroupRef(9)))
    refused(ErrorCode.INVALID_ARGUMENT, table.insert, TableEntry((Exact(1),), chosen(1)))
    refused(ErrorCode.NOT_FOUND, chooser.insert_group, 1, [(9, 1)])
    refused(ErrorCode.INVALID_ARGUMENT, direct.insert_group, 1, [])
    for member in range(4):
        direct.insert_member(member, ActionCall("NoAction"))
    refused(ErrorCode.RESOURCE_EXHAUSTED, direct.insert_member, 4, ActionCall("NoAction"))
    refused(ErrorCode.ALREADY_EXISTS, direct.insert_member, 0, ActionCall("NoAction"))
