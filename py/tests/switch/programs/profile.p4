// An action profile and an action selector.
#include <core.p4>
#include <v1model.p4>

header key_t { bit<8> a; bit<8> b; bit<16> flow; }
header out_t { bit<8> direct; bit<8> chosen; bit<8> hit; }
struct headers_t { key_t key; out_t result; }
struct metadata_t {}

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start { packet.extract(hdr.key); transition accept; }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    action_profile(4) direct_profile;
    action_selector(HashAlgorithm.crc16, 8, 16) chooser;
    action set_direct(bit<8> v) { hdr.result.direct = v; }
    action set_chosen(bit<8> v) { hdr.result.chosen = v; }
    table direct_t {
        key = { hdr.key.a : exact; }
        actions = { set_direct; NoAction; }
        implementation = direct_profile;
    }
    table chosen_t {
        key = { hdr.key.b : exact; hdr.key.flow : selector; }
        actions = { set_chosen; NoAction; }
        implementation = chooser;
    }
    apply {
        hdr.result.setValid();
        std.egress_spec = 1;
        direct_t.apply();
        if (chosen_t.apply().hit) { hdr.result.hit = 1; }
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {}
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.key); packet.emit(hdr.result); }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
