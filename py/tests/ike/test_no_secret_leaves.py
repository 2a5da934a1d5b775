"""Key material shows in no trace, log, event or repr, and is overwritten when its SA ends."""

import base64
import gc
import json
import logging
from types import FunctionType, ModuleType

import pytest
from ike_lab import Lab, east_config, west_config

from p4esp.ike.crypto.schedule import IkeKeys
from p4esp.ike.events import ChildRekeyed, ChildUp, IkeEstablished, IkeRekeyed

PSK = b"correct horse battery staple"


def life():
    """Two endpoints that connected and rekeyed everything."""
    lab = Lab(west_config(psk=PSK), east_config(psk=PSK))
    lab.connect()
    lab.west.endpoint.rekey_child(lab.west.one(ChildUp).child.spi_in, lab.now)
    lab.settle()
    lab.east.endpoint.rekey_ike(lab.east.one(IkeEstablished).ike.spi, lab.now)
    lab.settle()
    return lab


def material_of(keys):
    return [bytes(getattr(keys, name)) for name in IkeKeys.__slots__]


def secrets_of(lab):
    """Every key the two ends agreed on, and the shared secret."""
    found = {PSK}
    for _, _, _, keys in lab.west.keys + lab.east.keys:
        found.update(material_of(keys))
    for node in lab.nodes.values():
        children = [event.child for event in node.of(ChildUp)]
        for child in children + [event.new for event in node.of(ChildRekeyed)]:
            for way in (child.keymat.inbound, child.keymat.outbound):
                found.update((way.key, way.integrity))
    return {secret for secret in found if len(secret) >= 8}


def spellings(secret):
    """How octets may end up in a text."""
    plain = repr(secret)[2:-1]
    numbers = str(list(secret))[1:-1]
    coded = base64.b64encode(secret).decode().rstrip("=")
    return (secret.hex(), secret.hex().upper(), secret.hex(":"), plain, numbers, coded)


def reachable(root):
    """Objects of ours that can be reached from an endpoint."""
    seen, todo = {}, [root]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type | ModuleType):
            continue
        seen[id(item)] = item
        is_function = isinstance(item, FunctionType)
        todo += (item.__closure__ or ()) if is_function else gc.get_referents(item)
    return [item for item in seen.values() if type(item).__module__.startswith("p4esp")]


@pytest.fixture
def lab(caplog):
    caplog.set_level(logging.DEBUG)
    return life()


def assert_shows_none_of(secrets, text):
    shown = [word for secret in secrets for word in spellings(secret) if word in text]
    assert shown == []


def test_the_search_finds_each_spelling():
    secret = bytes(range(200, 220))
    for text in spellings(secret):
        with pytest.raises(AssertionError):
            assert_shows_none_of({secret}, f"before {text} after")


def test_a_life_has_many_secrets(lab):
    assert len(lab.west.keys) == 2
    assert lab.east.one(IkeRekeyed)
    assert len(secrets_of(lab)) >= 1 + 2 * 5 + 2 * 2


def test_no_key_is_in_traces_logs_or_events(lab, caplog):
    nodes = lab.nodes.values()
    records = [trace.as_json() for node in nodes for trace in node.traces]
    texts = [json.dumps(records), caplog.text]
    texts += [str(item) + repr(item) for node in nodes for item in node.traces + node.events]
    assert len(records) > 20
    assert_shows_none_of(secrets_of(lab), "\n".join(texts))


def test_no_object_of_an_endpoint_shows_a_key_in_its_repr(lab):
    objects = reachable(lab.west.endpoint)
    assert any(isinstance(item, IkeKeys) for item in objects)
    text = "\n".join(repr(item) + str(item) for item in objects)
    assert_shows_none_of(secrets_of(lab), text)


def held_keys(node):
    """Keys that the endpoint holds, without the copies that were exported."""
    exported = [id(facts[3]) for facts in node.keys]
    objects = reachable(node.endpoint)
    return [item for item in objects if isinstance(item, IkeKeys) and id(item) not in exported]


@pytest.mark.parametrize("end", ["delete", "abandon"])
def test_keys_are_overwritten_when_their_ike_sa_ends(lab, end):
    (keys,) = held_keys(lab.west)
    assert all(map(any, filter(None, material_of(keys))))
    (ike,) = [info.spi for info in lab.west.endpoint.ike_sas]
    if end == "abandon":
        lab.fate = lambda _: []
    lab.west.endpoint.delete_ike(ike, lab.now)
    lab.run(400.0)
    assert held_keys(lab.west) == []
    assert not any(map(any, material_of(keys)))


def test_keys_of_a_failed_authentication_are_overwritten():
    lab = Lab(west_config(psk=b"guess"))
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab._collect()
    for _ in range(2):
        lab._deliver_next()
    (keys,) = held_keys(lab.east)
    lab.run(60.0)
    assert held_keys(lab.east) == []
    assert not any(map(any, material_of(keys)))
