// IPv4 header checksum with options, and the UDP checksum over pseudo header and payload.
#include <core.p4>
#include <v1model.p4>

header ipv4_t {
    bit<4> version; bit<4> ihl; bit<8> tos; bit<16> len; bit<16> id; bit<3> flags; bit<13> frag;
    bit<8> ttl; bit<8> protocol; bit<16> checksum; bit<32> src; bit<32> dst;
}
header options_t { varbit<320> data; }
header udp_t { bit<16> sport; bit<16> dport; bit<16> len; bit<16> checksum; }
struct headers_t { ipv4_t ipv4; options_t options; udp_t udp; }
struct metadata_t { bit<16> udp_len; }

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.ihl >= 5, error.HeaderTooShort);
        transition select(hdr.ipv4.ihl) {
            5: parse_layer4;
            default: parse_options;
        }
    }
    state parse_options {
        packet.extract(hdr.options, (bit<32>)(((bit<16>)hdr.ipv4.ihl - 5) * 32));
        transition parse_layer4;
    }
    state parse_layer4 {
        transition select(hdr.ipv4.protocol) {
            17: parse_udp;
            default: accept;
        }
    }
    state parse_udp { packet.extract(hdr.udp); meta.udp_len = hdr.udp.len; transition accept; }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(true, { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos, hdr.ipv4.len,
            hdr.ipv4.id, hdr.ipv4.flags, hdr.ipv4.frag, hdr.ipv4.ttl, hdr.ipv4.protocol,
            hdr.ipv4.src, hdr.ipv4.dst, hdr.options.data },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
    }
}
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        std.egress_spec = std.checksum_error == 1 ? 9w2 : 9w1;
        if (hdr.ipv4.isValid()) { hdr.ipv4.ttl = hdr.ipv4.ttl - 1; }
        if (hdr.udp.isValid()) { hdr.udp.sport = hdr.udp.sport + 1; }
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {}
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(hdr.ipv4.isValid(), { hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.tos,
            hdr.ipv4.len, hdr.ipv4.id, hdr.ipv4.flags, hdr.ipv4.frag, hdr.ipv4.ttl,
            hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst, hdr.options.data },
            hdr.ipv4.checksum, HashAlgorithm.csum16);
        update_checksum_with_payload(hdr.udp.isValid(), { hdr.ipv4.src, hdr.ipv4.dst, 8w0,
            hdr.ipv4.protocol, meta.udp_len, hdr.udp.sport, hdr.udp.dport, hdr.udp.len },
            hdr.udp.checksum, HashAlgorithm.csum16);
    }
}
control deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.ipv4); packet.emit(hdr.options); packet.emit(hdr.udp); }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
