// Registers, counters, meters, hashes, random numbers, log messages, assertions.
#include <core.p4>
#include <v1model.p4>

header ask_t { bit<8> op; bit<32> index; bit<32> value; }
header answer_t { bit<32> value; }
struct headers_t { ask_t ask; answer_t answer; }
struct metadata_t { bit<32> drop_reason; }

parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta,
             inout standard_metadata_t std) {
    state start { packet.extract(hdr.ask); transition accept; }
}
control verify_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control ingress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    register<bit<32>>(8) cells;
    register<int<8>>(4) signed_cells;
    counter(4, CounterType.packets_and_bytes) packets;
    meter(4, MeterType.bytes) rate;

    action refuse(bit<32> reason) { meta.drop_reason = reason; mark_to_drop(std); }
    apply {
        bit<32> v = 0;
        int<8> s = 0;
        bit<2> colour = 0;
        hdr.answer.setValid();
        std.egress_spec = 1;
        if (hdr.ask.op == 0) { cells.read(v, hdr.ask.index); }
        else if (hdr.ask.op == 1) { cells.write(hdr.ask.index, hdr.ask.value); }
        else if (hdr.ask.op == 2) { packets.count(hdr.ask.index); }
        else if (hdr.ask.op == 3) { rate.execute_meter(hdr.ask.index, colour); v = (bit<32>)colour; }
        else if (hdr.ask.op == 4) {
            hash(v, HashAlgorithm.crc32, 32w0, { hdr.ask.index, hdr.ask.value }, 64w0x100000000);
        } else if (hdr.ask.op == 5) {
            hash(v, HashAlgorithm.crc16, 32w10, { hdr.ask.index, hdr.ask.value }, 32w100);
        } else if (hdr.ask.op == 6) {
            hash(v, HashAlgorithm.csum16, 32w0, { hdr.ask.index, hdr.ask.value }, 32w0x10000);
        } else if (hdr.ask.op == 7) { random(v, hdr.ask.index, hdr.ask.value); }
        else if (hdr.ask.op == 8) { assert(hdr.ask.index != 0); }
        else if (hdr.ask.op == 9) {
            log_msg("index {} value {}", { hdr.ask.index, hdr.ask.value });
        } else if (hdr.ask.op == 10) {
            signed_cells.write(hdr.ask.index, (int<8>)hdr.ask.value[7:0]);
            signed_cells.read(s, hdr.ask.index);
            v = (bit<32>)(int<32>)s;
        } else { refuse(7); }
        hdr.answer.value = v;
    }
}
control egress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply {}
}
control update_checksums(inout headers_t hdr, inout metadata_t meta) { apply {} }
control deparse(packet_out packet, in headers_t hdr) {
    apply { packet.emit(hdr.ask); packet.emit(hdr.answer); }
}
V1Switch(parse(), verify_checksums(), ingress(), egress(), update_checksums(), deparse()) main;
