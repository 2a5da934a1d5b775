// Every kind of P4Runtime entity once, for the tests of the server. Compiled in this directory with
// p4c-bm2-ss --p4runtime-files entities.p4info.txtpb -o entities.json entities.p4
#include <core.p4>
#include <v1model.p4>

const bit<9> CPU_PORT = 510;

@controller_header("packet_in")
header packet_in_t {
    bit<9> ingress_port;
    bit<7> reason;
}

@controller_header("packet_out")
header packet_out_t {
    bit<9> egress_port;
    bit<7> pad;
}

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header ipv4_t {
    bit<4>  version;
    bit<4>  ihl;
    bit<8>  tos;
    bit<16> total_length;
    bit<16> id;
    bit<3>  flags;
    bit<13> offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

struct headers_t {
    packet_in_t  packet_in;
    packet_out_t packet_out;
    ethernet_t   eth;
    ipv4_t       ip;
}

struct metadata_t {
    bit<12> vlan;
    bit<2>  colour;
}

struct station_t {
    bit<48> mac;
    bit<9>  port;
}

parser parse(packet_in pkt, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start {
        transition select(std.ingress_port) {
            CPU_PORT: from_cpu;
            default: ethernet;
        }
    }
    state from_cpu {
        pkt.extract(hdr.packet_out);
        transition ethernet;
    }
    state ethernet {
        pkt.extract(hdr.eth);
        transition select(hdr.eth.ether_type) {
            0x0800: ipv4;
            default: accept;
        }
    }
    state ipv4 {
        pkt.extract(hdr.ip);
        transition accept;
    }
}

control check_sums(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    direct_counter(CounterType.packets_and_bytes) host_hits;
    direct_meter<bit<2>>(MeterType.packets) host_rate;
    counter(64, CounterType.packets_and_bytes) port_hits;
    meter(32, MeterType.bytes) port_rate;
    register<bit<64>>(16) state;
    action_profile(32) next_hops;
    action_selector(HashAlgorithm.crc16, 64, 16) paths;

    action drop() { mark_to_drop(std); }
    action forward(bit<9> port) { std.egress_spec = port; }
    action rewrite(bit<9> port, bit<48> dst, bit<12> vlan) {
        std.egress_spec = port;
        hdr.eth.dst = dst;
        meta.vlan = vlan;
    }
    action metered(bit<9> port) {
        host_rate.read(meta.colour);
        std.egress_spec = port;
    }
    action mark(bit<12> vlan) { meta.vlan = vlan; }
    action punt(bit<7> reason) {
        std.egress_spec = CPU_PORT;
        hdr.packet_in.setValid();
        hdr.packet_in.ingress_port = std.ingress_port;
        hdr.packet_in.reason = reason;
    }
    action copy(bit<32> session) { clone(CloneType.I2E, session); }
    action learn() {
        digest<station_t>(1, { hdr.eth.src, std.ingress_port });
    }

    table host {
        key = { hdr.eth.dst: exact; }
        actions = { forward; metered; rewrite; punt; drop; @defaultonly NoAction; }
        default_action = NoAction();
        counters = host_hits;
        meters = host_rate;
        size = 65536;
    }
    table route {
        key = { hdr.ip.dst: lpm; }
        actions = { forward; drop; @defaultonly punt; @tableonly mark; }
        default_action = drop();
        size = 1024;
    }
    table acl {
        key = {
            hdr.ip.src: ternary;
            hdr.ip.protocol: optional;
            hdr.ip.total_length: range;
            std.ingress_port: exact;
        }
        actions = { forward; drop; punt; copy; NoAction; }
        const default_action = NoAction();
        size = 1024;
    }
    table tiny {
        key = { hdr.ip.ttl: exact; }
        actions = { mark; NoAction; }
        support_timeout = true;
        size = 4;
    }
    table classes {
        key = { hdr.ip.tos: exact; }
        actions = { mark; NoAction; }
        const entries = {
            0: mark(10);
            1: mark(11);
        }
    }
    table stations {
        key = { hdr.eth.src: exact; }
        actions = { learn; NoAction; }
        default_action = learn();
        size = 256;
    }
    table via {
        key = { hdr.ip.dst: exact; }
        actions = { forward; rewrite; }
        implementation = next_hops;
        size = 256;
    }
    table spread {
        key = {
            hdr.ip.dst: exact;
            hdr.ip.src: selector;
        }
        actions = { forward; drop; }
        implementation = paths;
        size = 256;
    }

    apply {
        if (hdr.packet_out.isValid()) {
            std.egress_spec = hdr.packet_out.egress_port;
            hdr.packet_out.setInvalid();
            exit;
        }
        port_hits.count((bit<32>)std.ingress_port & 63);
        port_rate.execute_meter<bit<2>>((bit<32>)std.ingress_port & 31, meta.colour);
        bit<64> cell;
        state.read(cell, 0);
        state.write(0, cell + 1);
        stations.apply();
        host.apply();
        if (hdr.ip.isValid()) {
            route.apply();
            classes.apply();
            tiny.apply();
            via.apply();
            spread.apply();
            acl.apply();
        }
    }
}

control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply { }
}

control update_sums(inout headers_t hdr, inout metadata_t meta) {
    apply { }
}

control deparse(packet_out pkt, in headers_t hdr) {
    apply {
        pkt.emit(hdr.packet_in);
        pkt.emit(hdr.eth);
        pkt.emit(hdr.ip);
    }
}

V1Switch(parse(), check_sums(), ingress(), egress(), update_sums(), deparse()) main;
