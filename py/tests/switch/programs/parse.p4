// Parser behaviour: errors, verify, lookahead, masks, joins, varbit, advance.
#include <core.p4>
#include <v1model.p4>

error { NotForUs }

header ethernet_t { bit<48> dst; bit<48> src; bit<16> kind; }
header vlan_t { bit<3> pcp; bit<1> dei; bit<12> vid; bit<16> kind; }
header ipv4_t {
    bit<4> version; bit<4> ihl; bit<8> tos; bit<16> len; bit<16> id; bit<3> flags; bit<13> frag;
    bit<8> ttl; bit<8> protocol; bit<16> checksum; bit<32> src; bit<32> dst;
}
header options_t { varbit<320> data; }
header tag_t { bit<4> a; bit<12> b; }
header skip_t { bit<8> count; bit<8> mark; }
header report_t { bit<32> error_code; bit<8> seen; bit<8> peeked; bit<16> port; }

struct headers_t {
    report_t report; ethernet_t ethernet; vlan_t vlan; ipv4_t ipv4; options_t options; tag_t tag;
    skip_t skip;
}
struct metadata_t { bit<8> peeked; }

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.kind) {
            0x8100: parse_vlan;
            0x0800: parse_ipv4;
            0x1000 &&& 0xF000: parse_tag;
            0x2000: parse_skip;
            default: accept;
        }
    }
    state parse_vlan {
        packet.extract(hdr.vlan);
        verify(hdr.vlan.vid != 0xFFF, error.NotForUs);
        transition select(hdr.vlan.kind, hdr.vlan.dei) {
            (0x0800, 0): parse_ipv4;
            (0x1000 &&& 0xFF00, _): parse_tag;
            default: accept;
        }
    }
    state parse_ipv4 {
        packet.extract(hdr.ipv4);
        verify(hdr.ipv4.ihl >= 5, error.HeaderTooShort);
        transition select(hdr.ipv4.ihl) {
            5: peek;
            default: parse_options;
        }
    }
    state parse_options {
        packet.extract(hdr.options, (bit<32>)(((bit<16>)hdr.ipv4.ihl - 5) * 32));
        transition peek;
    }
    state peek {
        meta.peeked = packet.lookahead<bit<8>>();
        transition select(packet.lookahead<bit<4>>()) {
            0xA: parse_tag;
            default: accept;
        }
    }
    state parse_tag {
        packet.extract(hdr.tag);
        transition accept;
    }
    state parse_skip {
        packet.extract(hdr.skip);
        packet.advance((bit<32>)hdr.skip.count);
        transition parse_tag;
    }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        hdr.report.setValid();
        if (std.parser_error == error.NoError) { hdr.report.error_code = 0; }
        else if (std.parser_error == error.PacketTooShort) { hdr.report.error_code = 1; }
        else if (std.parser_error == error.HeaderTooShort) { hdr.report.error_code = 2; }
        else if (std.parser_error == error.NotForUs) { hdr.report.error_code = 3; }
        else if (std.parser_error == error.ParserInvalidArgument) { hdr.report.error_code = 4; }
        else { hdr.report.error_code = 99; }
        hdr.report.seen = (bit<8>)(bit<1>)hdr.ethernet.isValid()
            | ((bit<8>)(bit<1>)hdr.vlan.isValid() << 1) | ((bit<8>)(bit<1>)hdr.ipv4.isValid() << 2)
            | ((bit<8>)(bit<1>)hdr.options.isValid() << 3)
            | ((bit<8>)(bit<1>)hdr.tag.isValid() << 4) | ((bit<8>)(bit<1>)hdr.skip.isValid() << 5);
        hdr.report.peeked = meta.peeked;
        hdr.report.port = (bit<16>)std.ingress_port;
        if (hdr.tag.isValid()) { hdr.tag.b = hdr.tag.b + 1; }
        std.egress_spec = 1;
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {}
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control deparse(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.report);
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.options);
        packet.emit(hdr.skip);
        packet.emit(hdr.tag);
    }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
