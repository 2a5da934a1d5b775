// Pass 2, inbound: has the peer moved behind its NAT (RFC 7296 2.23)? Only an authentic packet that is
// newer than all before says so; what follows from it is for the controller to decide.
control peer_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".expect_v4") @id(0x0100002B)
    action expect_v4(bit<32> src, bit<16> port) {
        if (meta.peer_high != 0 || meta.peer_low != (bit<64>)src || meta.peer_port != port) {
            meta.notify = event_t.PEER_MOVED;
        }
    }

    @name(".expect_v6") @id(0x0100002C)
    action expect_v6(bit<64> src_high, bit<64> src_low, bit<16> port) {
        if (meta.peer_high != src_high || meta.peer_low != src_low || meta.peer_port != port) {
            meta.notify = event_t.PEER_MOVED;
        }
    }

    @name(".anybody") @id(0x0100002D)
    action anybody() {}

    @name(".peer") @id(0x02000019)
    table peer {
        key = { meta.sa : exact @name("sa"); }
        actions = { expect_v4; expect_v6; @defaultonly anybody; }
        const default_action = anybody;
        size = SIZE_SA;
    }

    apply {
        if (hdr.outer_ip6.isValid()) {
            meta.peer_high = hdr.outer_ip6.src[127:64];
            meta.peer_low = hdr.outer_ip6.src[63:0];
        } else if (hdr.outer_ip.isValid()) {
            meta.peer_low = (bit<64>)hdr.outer_ip.src;
        } else if (hdr.ip.isValid()) {
            meta.peer_low = (bit<64>)hdr.ip.src;
        } else {
            meta.peer_high = hdr.ip6.src[127:64];
            meta.peer_low = hdr.ip6.src[63:0];
        }
        meta.peer_port = hdr.outer_udp.sport;
        peer.apply();
    }
}
