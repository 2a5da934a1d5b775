// Transport mode through a NAT: the checksum of TCP or UDP was made over other addresses (RFC 3948
// 3.1.2 a). `delta` is the one's complement difference of the two pairs, 0 without a NAT.
control layer4_repair_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<32> sum;
    bit<16> old;

    @name(".repair") @id(0x01000029)
    action repair(bit<16> delta) {
        // RFC 1624: HC' = ~(~HC + ~m + m').
        sum = (bit<32>)(~old) + (bit<32>)delta;
        sum = (sum & 0xFFFF) + (sum >> 16);
        if (hdr.l4_tcp.isValid()) {
            hdr.l4_tcp.checksum = ~sum[15:0];
        } else {
            hdr.l4_udp.checksum = sum[15:0] == 0xFFFF ? 16w0xFFFF : ~sum[15:0];
        }
    }

    @name(".leave_alone") @id(0x0100002A)
    action leave_alone() {}

    @name(".layer4_delta") @id(0x02000018)
    table layer4_delta {
        key = { meta.sa : exact @name("sa"); }
        actions = { repair; @defaultonly leave_alone; }
        const default_action = leave_alone;
        size = SIZE_SA;
    }

    apply {
        old = hdr.l4_tcp.isValid() ? hdr.l4_tcp.checksum : hdr.l4_udp.checksum;
        // Over IPv4, UDP may go without.
        if (hdr.l4_tcp.isValid() || hdr.l4_udp.isValid() && old != 0) {
            layer4_delta.apply();
        }
    }
}
