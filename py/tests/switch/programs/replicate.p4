// Clones, recirculation, resubmission, multicast, digests, truncation and what metadata they keep.
#include <core.p4>
#include <v1model.p4>

header ask_t { bit<8> op; bit<8> session; }
header mark_t { bit<8> pass; bit<32> instance_type; bit<16> port; bit<16> rid; bit<8> kept;
                bit<8> lost; bit<32> length; }
struct headers_t { mark_t mark; ask_t ask; }
struct metadata_t { @field_list(1) bit<8> kept; bit<8> lost; }
struct event_t { bit<8> op; bit<9> port; }

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start {
        transition select(std.instance_type) {
            4: parse_mark;
            default: parse_ask;
        }
    }
    state parse_mark { packet.extract(hdr.mark); transition parse_ask; }
    state parse_ask { packet.extract(hdr.ask); transition accept; }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        bit<8> before = meta.kept;
        std.egress_spec = 1;
        if (std.instance_type == 4) { std.egress_spec = 4; }
        meta.kept = 0x5A;
        meta.lost = 0xA5;
        if (hdr.ask.op == 1) {
            clone_preserving_field_list(CloneType.I2E, (bit<32>)hdr.ask.session, 1);
            hdr.ask.op = 0x77;
        } else if (hdr.ask.op == 4 && std.instance_type == 0) { resubmit_preserving_field_list(1); }
        else if (hdr.ask.op == 5) { std.mcast_grp = (bit<16>)hdr.ask.session; }
        else if (hdr.ask.op == 6) { digest<event_t>(1, { hdr.ask.op, std.ingress_port }); }
        else if (hdr.ask.op == 7) { mark_to_drop(std); }
        if (std.instance_type == 6) { meta.kept = before + 1; }
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        if (hdr.ask.op == 3 && std.instance_type == 0 && !hdr.mark.isValid()) {
            recirculate_preserving_field_list(1);
        }
        if (hdr.ask.op == 2 && std.instance_type == 0) {
            clone_preserving_field_list(CloneType.E2E, (bit<32>)hdr.ask.session, 1);
        }
        if (hdr.ask.op == 8) { truncate(12); }
        if (hdr.ask.op == 9) { mark_to_drop(std); }
        bit<8> pass = hdr.mark.isValid() ? hdr.mark.pass + 1 : 0;
        hdr.mark.setValid();
        hdr.mark.pass = pass;
        hdr.mark.instance_type = std.instance_type;
        hdr.mark.port = (bit<16>)std.egress_port;
        hdr.mark.rid = std.egress_rid;
        hdr.mark.kept = meta.kept;
        hdr.mark.lost = meta.lost;
        hdr.mark.length = std.packet_length;
    }
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.mark); packet.emit(hdr.ask); }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
