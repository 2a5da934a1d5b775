"""Name servers with encryption in CP payloads (RFC 9464, RFC 8598)."""

import hashlib
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST_NET, Lab, child, east_config, net, west_config

from p4esp.cli.event_line import event_line
from p4esp.ike import encrypted_dns, internal_config
from p4esp.ike.codec.configuration import ConfigAttribute, Configuration
from p4esp.ike.codec.encrypted_dns import (
    Digest,
    DigestAttribute,
    ResolverAttribute,
    parse_digest_request,
)
from p4esp.ike.codec.service_parameters import ServiceParameters
from p4esp.ike.config import Assignment
from p4esp.ike.constants import ConfigAttributeType as Kind
from p4esp.ike.constants import ConfigType, ExchangeType
from p4esp.ike.drops import Drop
from p4esp.ike.encrypted_dns import Resolver, ResolverOffer
from p4esp.ike.errors import ParseError
from p4esp.ike.events import AuthenticationFailed, ChildUp, InternalAddresses
from p4esp.ike.internal_config import InternalConfig
from p4esp.ike.pool import AddressPool
from p4esp.ike.tasks.base import InitiatorTask, Verdict
from p4esp.ipsec.selectors import TrafficSelector
from p4esp.service.event_json import event_as_json

DOT = ServiceParameters(("dot",))
DOH = ServiceParameters(("h2", "h3"), 8443, "/dns-query{?dns}")
FIRST = Resolver(1, "dns.example", (ip_address("10.2.0.53"),), DOT)
SECOND = Resolver(2, "doh.example", (ip_address("10.2.0.54"), ip_address("10.2.0.55")), DOH)
SIX = Resolver(3, "six.example", (ip_address("fd02::53"),), DOT)
KEYS = {"dns.example": b"one public key", "doh.example": b"another public key"}
PLAIN = InternalConfig(dns=(ip_address("10.2.0.53"),), subnets=(ip_network(EAST_NET),))
FIRST_OCTETS = bytes.fromhex(
    "0001 01 0b 0a020035 646e732e6578616d706c65 0001 0004 03646f74".replace(" ", "")
)
"""Priority, one address, size of the name, address, name, alpn=dot."""
ALGORITHMS = bytes.fromhex("0300 0002 0003 0004".replace(" ", ""))


def gateway(*resolvers, keys=KEYS, domains=(), **more):
    """East tells these resolvers to who asks."""
    offers = tuple(ResolverOffer(one, keys.get(one.name, b"")) for one in resolvers)
    pools = tuple(AddressPool(ip_network(one)) for one in ("10.9.0.0/29", "fd09::/126"))
    access = child(EAST_NET, "0.0.0.0/0")
    both = TrafficSelector.of_network("0.0.0.0/0"), TrafficSelector.of_network("::/0")
    access = replace(access, remote_ts=both, local_ts=(*net(EAST_NET), *net("fd02::/64")))
    assignment = Assignment(pools, replace(PLAIN, domains=domains), True, offers)
    return east_config(children=(access,), assignment=assignment, **more)


def client(versions=(4,), *, encrypted=True, **more):
    wide = child("0.0.0.0/0", "0.0.0.0/0")
    both = TrafficSelector.of_network("0.0.0.0/0"), TrafficSelector.of_network("::/0")
    return west_config(
        children=(replace(wide, local_ts=both, remote_ts=both),),
        request_addresses=versions,
        request_encrypted_dns=encrypted,
        **more,
    )


def connected(*resolvers, west=None, **more):
    lab = Lab(west or client(), gateway(*resolvers, **more))
    lab.connect()
    assert lab.west.one(ChildUp)
    return lab


def given_to_west(lab):
    return lab.west.one(InternalAddresses).config


def replying(monkeypatch, *attributes):
    """What east says of encrypted DNS instead of what it should."""
    told = [ConfigAttribute(kind, value) for kind, value in attributes]
    monkeypatch.setattr(internal_config, "answers", lambda *_: told)


def ignored(lab):
    return [one.reason for one in lab.west.traces if one.drop is Drop.IGNORED_NOTIFY]


# --- what is asked and told


def test_a_request_asks_for_resolvers_digests_and_domains():
    asked = internal_config.request([4, 6], encrypted_dns=True)
    values = {one.type: one.value for one in asked.attributes}
    assert values[Kind.ENCDNS_IP4] == values[Kind.ENCDNS_IP6] == b""
    assert values[Kind.INTERNAL_DNS_DOMAIN] == b""
    assert values[Kind.ENCDNS_DIGEST_INFO] == ALGORITHMS
    assert Kind.INTERNAL_IP4_DNS in values  # for peers without encrypted DNS
    plain = internal_config.request([4]).attributes
    assert not {one.type for one in plain} & {25, 27, 28, 29}


def test_a_resolver_travels_in_the_octets_of_the_rfc():
    reply = InternalConfig(resolvers=(FIRST,)).reply()
    assert reply.attributes == (ConfigAttribute(Kind.ENCDNS_IP4, FIRST_OCTETS),)
    assert InternalConfig.of(reply).resolvers == (FIRST,)


def test_a_peer_that_asks_is_told_and_gets_the_digest_of_the_key():
    lab = connected(FIRST, domains=("example", "corp.example"))
    value = hashlib.sha256(b"one public key").digest()
    told = given_to_west(lab)
    assert told.resolvers == (replace(FIRST, digest=Digest(2, value)),)
    assert told.domains == ("example", "corp.example")
    assert told.dns == PLAIN.dns
    assert lab.east.one(InternalAddresses).config == told
    assert ignored(lab) == []


def test_two_names_have_two_digests_and_the_preferred_one_comes_first():
    lab = connected(SECOND, FIRST)
    first, second = given_to_west(lab).resolvers
    assert (first.name, second.name) == ("dns.example", "doh.example")
    assert first.digest == Digest(2, hashlib.sha256(b"one public key").digest())
    assert second.digest == Digest(2, hashlib.sha256(b"another public key").digest())
    assert second.addresses == SECOND.addresses
    assert second.parameters == DOH


def test_the_digest_bears_a_name_only_where_there_are_several():
    digest = Digest(2, bytes(32))
    alone = replace(FIRST, digest=digest)
    (_, one) = InternalConfig(resolvers=(alone,)).reply().attributes
    assert one.value == bytes.fromhex("01000002") + bytes(32)
    *_, two = InternalConfig(resolvers=(alone, SECOND)).reply().attributes
    assert two.value == bytes.fromhex("010b") + b"dns.example" + b"\0\2" + bytes(32)


def test_only_the_ip_versions_that_are_asked_for_are_told():
    assert given_to_west(connected(FIRST, SIX)).resolvers[0].name == "dns.example"
    assert [one.name for one in given_to_west(connected(FIRST, SIX)).resolvers] == ["dns.example"]
    both = given_to_west(connected(FIRST, SIX, west=client((4, 6)))).resolvers
    assert [one.name for one in both] == ["dns.example", "six.example"]
    assert both[1].addresses == SIX.addresses


@pytest.mark.parametrize("algorithms", ["0100 0063", "0000", "0201 0002 61", "02000002"])
def test_without_a_known_hash_algorithm_no_digest_is_told(algorithms, monkeypatch):
    octets = bytes.fromhex(algorithms.replace(" ", ""))
    monkeypatch.setattr(encrypted_dns, "encode_digest_request", lambda _: octets)
    (told,) = given_to_west(connected(FIRST)).resolvers
    assert told == FIRST


def test_the_peers_first_algorithm_that_we_know_is_taken(monkeypatch):
    octets = bytes.fromhex("0300 0063 0004 0002".replace(" ", ""))
    monkeypatch.setattr(encrypted_dns, "encode_digest_request", lambda _: octets)
    (told,) = given_to_west(connected(FIRST)).resolvers
    assert told.digest == Digest(4, hashlib.sha512(b"one public key").digest())


def test_a_wish_for_a_certain_resolver_is_answered_like_an_empty_one(monkeypatch):
    real = encrypted_dns.questions

    def wishing(versions):
        wish = ConfigAttribute(
            Kind.ENCDNS_IP4, bytes.fromhex("0000000464 6e73 2e".replace(" ", ""))
        )
        return [wish, *real(versions)[1:]]

    monkeypatch.setattr(internal_config, "questions", wishing)
    assert [one.name for one in given_to_west(connected(FIRST)).resolvers] == ["dns.example"]


# --- ends that do not agree


def test_who_does_not_ask_is_told_nothing():
    told = given_to_west(connected(FIRST, domains=("example",), west=client(encrypted=False)))
    assert (told.resolvers, told.domains, told.dns) == ((), (), PLAIN.dns)


def test_a_responder_without_any_leaves_the_plain_name_servers():
    told = given_to_west(connected())
    assert (told.resolvers, told.dns) == ((), PLAIN.dns)


def test_what_was_not_asked_for_is_ignored_and_recorded(monkeypatch):
    replying(monkeypatch, (Kind.ENCDNS_IP4, FIRST_OCTETS), (Kind.INTERNAL_DNS_DOMAIN, b"example"))
    lab = connected(FIRST, west=client(encrypted=False))
    assert (given_to_west(lab).resolvers, given_to_west(lab).domains) == ((), ())
    assert ignored(lab) == ["ignored: encrypted DNS, which was not asked for"]


def test_nobody_is_told_anything_before_it_has_proved_who_it_is():
    lab = Lab(client(psk=b"a wrong secret"), gateway(FIRST))
    lab.connect()
    assert lab.east.one(AuthenticationFailed)
    assert lab.west.of(InternalAddresses) == lab.east.of(InternalAddresses) == []


def test_a_rekeyed_ike_sa_tells_nothing_anew():
    lab = connected(FIRST)
    lab.west.endpoint.rekey_ike(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    assert len(lab.west.of(InternalAddresses)) == 1


class Push(InitiatorTask):
    """CP in an INFORMATIONAL request."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, kind):
        self.kind = kind
        self.answer = None

    def build(self, sa):
        return [Configuration(self.kind, (ConfigAttribute(Kind.ENCDNS_IP4, FIRST_OCTETS),))]

    def process(self, sa, reply):
        self.answer = reply.payloads.payloads
        return Verdict.DONE


@pytest.mark.parametrize("kind", [ConfigType.SET, ConfigType.ACK])
def test_cfg_set_is_answered_without_cfg_ack_and_changes_nothing(kind):
    """RFC 7296 3.15: this says that no attribute was accepted."""
    lab = connected(FIRST)
    ike = lab.east.endpoint.ike_sas[0].spi
    task = Push(kind)
    lab.east.endpoint._entries.command_target(ike).sa._command(task, lab.now)
    lab.east.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    assert task.answer == ()
    assert ignored(lab) == ["ignored: CP in INFORMATIONAL; accepted: in IKE_AUTH, to ask for it"]
    assert len(lab.west.of(InternalAddresses)) == 1


# --- malformed attributes are ignored one by one


def resolver(**changes):
    form = ResolverAttribute(1, FIRST.addresses, "other.example", DOT)
    return replace(form, **changes).encode()


BAD_RESOLVERS = {
    "priority 0": resolver(priority=0),
    "no address": resolver(addresses=()),
    "no name": resolver(name=""),
    "name that is none": resolver(name="not a name"),
    "empty": b"",
    "name cut short": resolver()[:14],
    "address cut short": resolver()[:6],
    "address nobody has": resolver(addresses=(ip_address("224.0.0.1"),)),
    "loopback": resolver(addresses=(ip_address("127.0.0.1"),)),
    "of IPv6": resolver(addresses=SIX.addresses),
    "ipv4hint": resolver(parameters=replace(DOT, others=((4, b"\x0a\2\0\x35"),))),
    "ipv6hint": resolver(parameters=replace(DOT, others=((6, bytes(16)),))),
    "keys in disorder": resolver() + bytes.fromhex("00010000"),
    "value cut short": resolver() + bytes.fromhex("000300020"[:8]),
    "protocol without name": resolver(parameters=ServiceParameters()) + bytes.fromhex("0001000100"),
    "port of one octet": resolver() + bytes.fromhex("0003000135"),
    "port 0": resolver() + bytes.fromhex("000300020000"),
    "dohpath without variable": resolver() + bytes.fromhex("000700022f78"),
    "dohpath for a terminal": resolver(parameters=ServiceParameters(dohpath="/q{?dns\x1b[2J}")),
    "dohpath too long": resolver(parameters=ServiceParameters(dohpath="/{?dns}" + "x" * 512)),
    "mandatory unknown": bytes.fromhex("00010104") + b"\x0a\2\0\x35" + b"a.bc" + b"\0\0\0\2\1\0",
}


@pytest.mark.parametrize("value", BAD_RESOLVERS.values(), ids=BAD_RESOLVERS)
def test_a_malformed_resolver_is_ignored_by_itself_and_recorded(value, monkeypatch):
    good = (Kind.ENCDNS_IP4, FIRST_OCTETS)
    replying(monkeypatch, (Kind.ENCDNS_IP4, value), good)
    lab = connected(FIRST)
    assert given_to_west(lab).resolvers == (FIRST,)
    assert len(ignored(lab)) == 1


BAD_DIGESTS = {
    "empty": b"",
    "two algorithms": bytes.fromhex("0200000200030000"),
    "short": bytes.fromhex("01000002") + bytes(31),
    "long": bytes.fromhex("01000002") + bytes(33),
    "algorithm not asked for": bytes.fromhex("01000001") + bytes(20),
    "name cut short": bytes.fromhex("01ff0002") + bytes(32),
    "of a stranger": bytes.fromhex("0103") + b"a.b" + b"\0\2" + bytes(32),
}


@pytest.mark.parametrize("value", BAD_DIGESTS.values(), ids=BAD_DIGESTS)
def test_a_malformed_digest_leaves_the_resolver_and_is_recorded(value, monkeypatch):
    replying(monkeypatch, (Kind.ENCDNS_IP4, FIRST_OCTETS), (Kind.ENCDNS_DIGEST_INFO, value))
    lab = connected(FIRST)
    assert given_to_west(lab).resolvers == (FIRST,)
    assert len(ignored(lab)) == 1


def test_a_digest_without_name_says_nothing_of_several(monkeypatch):
    two = resolver()
    digest = DigestAttribute("", Digest(2, bytes(32))).encode()
    kinds = (Kind.ENCDNS_IP4, Kind.ENCDNS_IP4, Kind.ENCDNS_DIGEST_INFO)
    replying(monkeypatch, *zip(kinds, (FIRST_OCTETS, two, digest), strict=True))
    lab = connected(FIRST)
    assert [one.digest for one in given_to_west(lab).resolvers] == [None, None]
    assert len(ignored(lab)) == 1


def test_an_attribute_that_is_there_twice_counts_once(monkeypatch):
    replying(monkeypatch, *[(Kind.ENCDNS_IP4, FIRST_OCTETS)] * 2)
    lab = connected(FIRST)
    assert given_to_west(lab).resolvers == (FIRST,)
    assert len(ignored(lab)) == 1


@pytest.mark.parametrize("value", [b"", b"-", b"a..b", b"\xff", b"a" * 64, b"a." * 130])
def test_a_malformed_domain_is_ignored_and_recorded(value, monkeypatch):
    replying(monkeypatch, *[(Kind.INTERNAL_DNS_DOMAIN, one) for one in (value, b"Corp.Example.")])
    lab = connected(FIRST)
    assert given_to_west(lab).domains == ("corp.example",)
    assert len(ignored(lab)) == 1


def test_parameters_that_mean_nothing_here_are_handed_over():
    unknown = ServiceParameters(("dot", "\\x1b"), others=((5, b"ech"), (9, b"")))
    octets = bytes.fromhex("0001 0006 03646f74 011b 0005 0003 656368 0009 0000".replace(" ", ""))
    assert ServiceParameters.parse(octets) == unknown


def test_mandatory_parameters_that_we_know_are_no_obstacle():
    octets = bytes.fromhex("0000 0002 0003 0003 0002 0355".replace(" ", ""))
    assert ServiceParameters.parse(octets) == ServiceParameters(port=853)


@given(st.binary(max_size=80))
def test_whatever_the_octets_only_a_parse_error_comes_of_them(data):
    for parse in (
        lambda: ResolverAttribute.parse(data, 4),
        lambda: ResolverAttribute.parse(data, 6),
        lambda: DigestAttribute.parse(data),
        lambda: parse_digest_request(data),
        lambda: ServiceParameters.parse(data),
    ):
        try:
            parse()
        except ParseError:
            continue


# --- what comes of it


def test_the_child_sa_leads_to_the_resolvers():
    lab = connected(FIRST, SECOND)
    selectors = lab.west.one(ChildUp).child.remote_ts
    addresses = [one for found in given_to_west(lab).resolvers for one in found.addresses]
    assert all(any(ts.first <= one <= ts.last for ts in selectors) for one in addresses)
    assert lab.west.one(InternalAddresses).unreachable == ()


def test_a_resolver_that_the_child_sa_does_not_lead_to_is_said_so():
    outside = replace(FIRST, addresses=(ip_address("10.3.0.53"), ip_address("10.2.0.53")))
    event = connected(outside, SECOND).west.one(InternalAddresses)
    assert event.unreachable == (ip_address("10.3.0.53"),)
    assert event.text.endswith("; no child SA leads to 10.3.0.53")


def test_the_event_hands_over_all_that_a_resolver_client_needs():
    lab = connected(replace(SECOND, priority=7), domains=("corp.example",))
    event = event_as_json(lab.west.one(InternalAddresses))
    assert event["config"] == {
        "addresses": ["10.9.0.1"],
        "dns": ["10.2.0.53"],
        "subnets": ["10.2.0.0/16"],
        "domains": ["corp.example"],
        "resolvers": [
            {
                "priority": 7,
                "name": "doh.example",
                "addresses": ["10.2.0.54", "10.2.0.55"],
                "alpn": ["h2", "h3"],
                "port": 8443,
                "dohpath": "/dns-query{?dns}",
                "others": {},
                "digest": {
                    "algorithm": 2,
                    "value": hashlib.sha256(b"another public key").hexdigest(),
                },
            }
        ],
    }
    line = event_line(event)
    assert line.endswith("10.9.0.1, dns 10.2.0.53, encrypted dns doh.example (h2/h3)")
    assert given_to_west(lab).resolvers[0].digest
    assert "doh.example:8443 h2/h3 pinned 10.2.0.54 10.2.0.55" in str(given_to_west(lab))
