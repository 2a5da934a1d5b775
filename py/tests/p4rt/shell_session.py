"""Run by p4runtime-shell's own Python: a session against the switch at argv[1].

Prints one JSON object. Nothing of p4esp is imported here.
"""

import json
import sys

import p4runtime_sh.shell as sh
from p4runtime_sh.p4runtime import P4RuntimeWriteException


def write_error(call):
    """The (code, message) of each update that failed."""
    try:
        call()
    except P4RuntimeWriteException as error:
        return [(code_name(detail.canonical_code), detail.message) for _, detail in error.errors]
    return []


def code_name(code):
    from google.rpc import code_pb2

    return code_pb2.Code.Name(code)


def insert_host(mac, port):
    entry = sh.TableEntry("ingress.host")(action="ingress.forward")
    entry.match["hdr.eth.dst"] = mac
    entry.action["port"] = port
    entry.insert()
    return entry


def insert_acl():
    entry = sh.TableEntry("ingress.acl")(action="ingress.drop")
    entry.match["hdr.ip.src"] = "10.0.0.0&&&255.0.0.0"
    entry.match["hdr.ip.total_length"] = "10..20"
    entry.match["hdr.ip.protocol"] = "6"
    entry.match["std.ingress_port"] = "1"
    entry.priority = 5
    entry.insert()


def session():
    facts = {}
    entry = insert_host("00:00:00:00:00:a1", "3")
    insert_acl()
    facts["hosts"] = [e.action["port"].value.hex() for e in sh.TableEntry("ingress.host").read()]
    facts["acls"] = [e.priority for e in sh.TableEntry("ingress.acl").read()]
    facts["duplicate"] = write_error(entry.insert)
    facts["counter"] = [e.packet_count for e in sh.CounterEntry("ingress.port_hits").read()][:3]
    member = sh.ActionProfileMember("ingress.paths")(member_id=1, action="ingress.drop")
    member.insert()
    group = sh.ActionProfileGroup("ingress.paths")(group_id=1)
    group.add(1)
    group.insert()
    facts["groups"] = [g.group_id for g in sh.ActionProfileGroup("ingress.paths").read()]
    session = sh.CloneSessionEntry(5)
    session.add(510, 0)
    session.insert()
    entry.delete()
    facts["deleted"] = [e.action["port"].value.hex() for e in sh.TableEntry("ingress.host").read()]
    facts["missing"] = write_error(entry.delete)
    return facts


def main():
    address, p4info, device_config = sys.argv[1:]
    sh.setup(
        device_id=1,
        grpc_addr=address,
        election_id=(1 << 16, 0),
        config=sh.FwdPipeConfig(p4info, device_config),
        verbose=False,
    )
    facts = session()
    sh.teardown()
    print(json.dumps(facts))


main()
