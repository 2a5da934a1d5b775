// A switch on the way of ESP, with no key: what it gains where an SA shows the first octets of its
// payload (formats/crypt_offset.p4, and trailer_in_header.p4 with payload in clear). It forwards from
// port to port, counts the flows that rules name, and marks them by the outer DSCP.
//
// How much an SA shows does not stand in its packets: table `exposed` says it, by destination and SPI.
// What is read is authentic to the receiver alone; here it is a hint.
#include <core.p4>
#include <v1model.p4>

const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<8>  PROTO_ESP      = 50;

#define SIZE_EXPOSED 4096
#define SIZE_RULES   1024
#define FLOWS        1024

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header ipv4_t {
    bit<4>  version;
    bit<4>  ihl;
    bit<6>  dscp;
    bit<2>  ecn;
    bit<16> total_len;
    bit<16> identification;
    bit<3>  flags;
    bit<13> frag_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

// SPI, sequence number, and what may be IV, trailer information, and an inner IPv4 header with
// ports: 32-bit words, because where each begins is known only behind the parser.
header esp_words_t {
    bit<32> spi;
    bit<32> seq;
    bit<32> w0;
    bit<32> w1;
    bit<32> w2;
    bit<32> w3;
    bit<32> w4;
    bit<32> w5;
    bit<32> w6;
    bit<32> w7;
    bit<32> w8;
}

struct headers_t {
    ethernet_t  eth;
    ipv4_t      ip;
    esp_words_t esp;
}

struct metadata_t {
    bit<32> first;       // of the inner header: version to total length
    bit<32> second;      // identification and fragment
    bit<32> third;       // TTL, protocol, checksum
    bit<32> src;
    bit<32> dst;
    bit<32> ports;
    bit<8>  protocol;
    bit<16> sport;
    bit<16> dport;
    bit<1>  read;        // the inner packet shows its ports
    bit<1>  marked;
}

parser middlebox_parser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                        inout standard_metadata_t standard) {
    state start {
        packet.extract(hdr.eth);
        transition select(hdr.eth.ether_type) {
            ETHERTYPE_IPV4: parse_ipv4;
            default:        accept;
        }
    }

    // 64: an outer header, and all words.
    state parse_ipv4 {
        packet.extract(hdr.ip);
        transition select(hdr.ip.ihl, hdr.ip.flags[0:0], hdr.ip.frag_offset, hdr.ip.protocol,
                          hdr.ip.total_len) {
            (5, 0, 0, PROTO_ESP, 64 .. 65535): parse_esp;
            default:                           accept;
        }
    }

    state parse_esp {
        packet.extract(hdr.esp);
        transition accept;
    }
}

#define IP_FIELDS \
    { hdr.ip.version, hdr.ip.ihl, hdr.ip.dscp, hdr.ip.ecn, hdr.ip.total_len, \
      hdr.ip.identification, hdr.ip.flags, hdr.ip.frag_offset, hdr.ip.ttl, hdr.ip.protocol, \
      hdr.ip.src, hdr.ip.dst }

control verify_checksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.esp.isValid(), IP_FIELDS, hdr.ip.checksum, HashAlgorithm.csum16);
    }
}

control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    @name(".exposed_flows") @id(0x12000001)
    counter(FLOWS, CounterType.packets_and_bytes) exposed_flows;

    @name(".forward_to") @id(0x01000001)
    action forward_to(bit<9> port) {
        standard.egress_spec = port;
    }

    @name(".no_way") @id(0x01000002)
    action no_way() {
        mark_to_drop(standard);
    }

    @name(".wire") @id(0x02000001)
    table wire {
        key = { standard.ingress_port : exact @name("ingress_port"); }
        actions = { forward_to; @defaultonly no_way; }
        const default_action = no_way;
        size = 512;
    }

    action look(bit<32> first, bit<32> second, bit<32> third, bit<32> src, bit<32> dst,
                bit<32> ports) {
        meta.first = first;
        meta.second = second;
        meta.third = third;
        meta.src = src;
        meta.dst = dst;
        meta.ports = ports;
    }

    // Implicit IV.
    @name(".behind_number") @id(0x01000003)
    action behind_number() {
        look(hdr.esp.w0, hdr.esp.w1, hdr.esp.w2, hdr.esp.w3, hdr.esp.w4, hdr.esp.w5);
    }

    // Implicit IV and trailer information.
    @name(".behind_information") @id(0x01000004)
    action behind_information() {
        look(hdr.esp.w1, hdr.esp.w2, hdr.esp.w3, hdr.esp.w4, hdr.esp.w5, hdr.esp.w6);
    }

    @name(".behind_iv") @id(0x01000005)
    action behind_iv() {
        look(hdr.esp.w2, hdr.esp.w3, hdr.esp.w4, hdr.esp.w5, hdr.esp.w6, hdr.esp.w7);
    }

    @name(".behind_iv_and_information") @id(0x01000006)
    action behind_iv_and_information() {
        look(hdr.esp.w3, hdr.esp.w4, hdr.esp.w5, hdr.esp.w6, hdr.esp.w7, hdr.esp.w8);
    }

    @name(".shows_nothing") @id(0x01000007)
    action shows_nothing() {}

    // Where the inner packet of an SA begins, of those that show at least its ports (24 octets).
    @name(".exposed") @id(0x02000002)
    table exposed {
        key = {
            hdr.ip.dst  : exact @name("dst");
            hdr.esp.spi : exact @name("spi");
        }
        actions = {
            behind_number;
            behind_information;
            behind_iv;
            behind_iv_and_information;
            @defaultonly shows_nothing;
        }
        const default_action = shows_nothing;
        size = SIZE_EXPOSED;
    }

    // With options or in a fragment ports are not where they seem to be.
    action read_flow() {
        meta.protocol = meta.third[23:16];
        meta.sport = meta.ports[31:16];
        meta.dport = meta.ports[15:0];
        meta.read = meta.first[31:24] == 0x45 && meta.second[12:0] == 0
            && (meta.protocol == 6 || meta.protocol == 17) ? 1w1 : 0;
    }

    @name(".mark") @id(0x01000008)
    action mark(bit<32> flow, bit<6> dscp) {
        exposed_flows.count(flow & (FLOWS - 1));
        hdr.ip.dscp = dscp;
        meta.marked = 1;
    }

    @name(".count") @id(0x01000009)
    action count_only(bit<32> flow) {
        exposed_flows.count(flow & (FLOWS - 1));
    }

    @name(".pass") @id(0x0100000A)
    action pass_on() {}

    @name(".rules") @id(0x02000003)
    table rules {
        key = {
            meta.src      : ternary @name("src");
            meta.dst      : ternary @name("dst");
            meta.protocol : ternary @name("protocol");
            meta.sport    : range   @name("sport");
            meta.dport    : range   @name("dport");
        }
        actions = { mark; count_only; @defaultonly pass_on; }
        const default_action = pass_on;
        size = SIZE_RULES;
    }

    apply {
        wire.apply();
        if (hdr.esp.isValid() && standard.checksum_error == 0) {
            exposed.apply();
            read_flow();
            if (meta.read == 1) {
                rules.apply();
            }
        }
    }
}

control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {}
}

control update_checksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(meta.marked == 1, IP_FIELDS, hdr.ip.checksum, HashAlgorithm.csum16);
    }
}

control deparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.eth);
        packet.emit(hdr.ip);
        packet.emit(hdr.esp);
    }
}

@pkginfo(name="p4esp_exposed_flows", version="1")
V1Switch(middlebox_parser(), verify_checksums(), ingress(), egress(), update_checksums(),
         deparser()) main;
