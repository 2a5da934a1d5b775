// All match kinds, const entries, hit/miss, action_run, exit, direct counter, direct meter, ageing.
#include <core.p4>
#include <v1model.p4>

header key_t { bit<8> op; bit<8> a; bit<16> b; bit<32> c; }
header out_t { bit<8> exact_; bit<8> lpm_; bit<8> ternary_; bit<8> range_; bit<8> optional_;
               bit<8> const_; bit<8> way; bit<8> colour; }
header absent_t { bit<8> value; }
struct headers_t { key_t key; out_t result; absent_t absent; }
struct metadata_t { bit<2> colour; }

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start { packet.extract(hdr.key); transition accept; }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    direct_counter(CounterType.packets_and_bytes) hits;
    direct_meter<bit<2>>(MeterType.packets) rate;

    action set_exact(bit<8> v) { hdr.result.exact_ = v; }
    action set_exact_twice(bit<8> v) { hdr.result.exact_ = v + v; rate.read(meta.colour); }
    table exact_t {
        key = { hdr.key.a : exact; hdr.key.b : exact; hdr.absent.value : exact; }
        actions = { set_exact; set_exact_twice; NoAction; }
        default_action = set_exact(0xEE);
        counters = hits;
        meters = rate;
        size = 4;
        support_timeout = true;
    }
    action set_lpm(bit<8> v) { hdr.result.lpm_ = v; }
    table lpm_t {
        key = { hdr.key.c : lpm; hdr.key.op : exact; }
        actions = { set_lpm; NoAction; }
        default_action = NoAction;
    }
    action set_ternary(bit<8> v) { hdr.result.ternary_ = v; }
    action leave() { hdr.result.ternary_ = 0xFF; std.egress_spec = 2; exit; }
    table ternary_t {
        key = { hdr.key.a : ternary; hdr.key.b : ternary; hdr.key.c : lpm; }
        actions = { set_ternary; leave; NoAction; }
        default_action = NoAction;
    }
    action set_range(bit<8> v) { hdr.result.range_ = v; }
    table range_t {
        key = { hdr.key.b : range; hdr.key.a : ternary; }
        actions = { set_range; NoAction; }
        default_action = NoAction;
    }
    action set_optional(bit<8> v) { hdr.result.optional_ = v; }
    table optional_t {
        key = { hdr.key.a : optional; hdr.key.b : optional; }
        actions = { set_optional; NoAction; }
        default_action = NoAction;
    }
    action set_const(bit<8> v) { hdr.result.const_ = v; }
    table const_t {
        key = { hdr.key.a : ternary; }
        actions = { set_const; NoAction; }
        const default_action = set_const(0xDD);
        const entries = {
            0x10 &&& 0xF0 : set_const(1);
            0x11          : set_const(2);
            0x20          : set_const(3);
        }
    }
    action one() { hdr.result.way = 1; }
    action two() { hdr.result.way = 2; }
    table way_t {
        key = { hdr.key.op : exact; }
        actions = { one; two; NoAction; }
        default_action = NoAction;
    }
    apply {
        hdr.result.setValid();
        std.egress_spec = 1;
        exact_t.apply();
        hdr.result.colour = (bit<8>)meta.colour;
        if (lpm_t.apply().hit) { hdr.result.lpm_ = hdr.result.lpm_ + 1; }
        else { hdr.result.lpm_ = 0xAA; }
        range_t.apply();
        optional_t.apply();
        const_t.apply();
        switch (way_t.apply().action_run) {
            one: { hdr.result.way = hdr.result.way + 0x10; }
            two: { hdr.result.way = hdr.result.way + 0x20; }
            default: { hdr.result.way = 0x99; }
        }
        ternary_t.apply();
        hdr.result.way = hdr.result.way + 1;
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {}
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.key); packet.emit(hdr.result); packet.emit(hdr.absent); }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
