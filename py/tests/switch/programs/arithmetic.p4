// Operators and casts with P4's widths and signs; input in, output out, 8-bit and odd widths.
#include <core.p4>
#include <v1model.p4>

header input_t { bit<8> op; bit<8> a; bit<8> b; int<8> s; int<8> t; bit<13> x; bit<3> y; }
header output_t { bit<8> u; int<8> i; bit<16> wide; int<16> iwide; bit<13> odd; bit<3> rest; }
struct headers_t { input_t input; output_t output; }
struct metadata_t {}

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start {
        packet.extract(hdr.input);
        hdr.output.setValid();
        transition accept;
    }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {
        bit<8> a = hdr.input.a;
        bit<8> b = hdr.input.b;
        int<8> s = hdr.input.s;
        int<8> t = hdr.input.t;
        std.egress_spec = 1;
        hdr.output.rest = hdr.input.y;
        if (hdr.input.op == 0) {
            hdr.output.u = a + b; hdr.output.i = s + t; hdr.output.odd = hdr.input.x + 1;
        } else if (hdr.input.op == 1) {
            hdr.output.u = a - b; hdr.output.i = s - t; hdr.output.odd = hdr.input.x - 1;
        } else if (hdr.input.op == 2) {
            hdr.output.u = a * b; hdr.output.i = s * t; hdr.output.wide = (bit<16>)a * (bit<16>)b;
        } else if (hdr.input.op == 3) {
            hdr.output.u = a |+| b; hdr.output.i = s |+| t;
        } else if (hdr.input.op == 4) {
            hdr.output.u = a |-| b; hdr.output.i = s |-| t;
        } else if (hdr.input.op == 5) {
            hdr.output.u = a << (b & 15); hdr.output.i = s << (b & 15);
        } else if (hdr.input.op == 6) {
            hdr.output.u = a >> (b & 15); hdr.output.i = s >> (b & 15);
        } else if (hdr.input.op == 7) {
            hdr.output.wide = a ++ b; hdr.output.iwide = (int<16>)s; hdr.output.u = ~a;
            hdr.output.i = -s;
        } else if (hdr.input.op == 8) {
            hdr.output.u = (bit<8>)s; hdr.output.i = (int<8>)a;
            hdr.output.wide = (bit<16>)(bit<8>)t; hdr.output.iwide = (int<16>)(int<8>)b;
        } else if (hdr.input.op == 9) {
            hdr.output.u = s < t ? a : b; hdr.output.i = a < b ? s : t;
            hdr.output.wide[11:4] = a; hdr.output.odd[12:9] = b[7:4];
        } else if (hdr.input.op == 10) {
            hdr.output.u = (a & b) ^ (a | b); hdr.output.i = (s & t) ^ ~(s | t);
        } else {
            hdr.output.u = (bit<8>)(bit<1>)(a == b && s != t || a > b && s >= t);
        }
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {}
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.input); packet.emit(hdr.output); }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
