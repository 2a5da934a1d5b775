// A packet-out of the controller: a frame for a port, a packet to be routed, a dummy to be sealed,
// or a control message, which arch/ answers.
control from_host_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> room;

    action refuse() {
        meta.drop_reason = drop_t.BAD_PACKET_OUT;
    }

    action send() {
        meta.path = path_t.SEND;
        meta.egress_port = hdr.packet_out.port[8:0];
    }

    action route() {
        meta.path = path_t.HOST;
        meta.role = role_t.PROTECTED;
        meta.ip_len = hdr.ip.isValid() ? hdr.ip.total_len : hdr.ip6.payload_len + 40;
        meta.ip_changed = hdr.ip.isValid() ? 1w1 : 0;
    }

    // What follows the Ethernet header is the content of the dummy.
    action seal_dummy() {
        meta.path = path_t.SEAL;
        meta.dummy = 1;
        meta.sa = hdr.packet_out.index[15:0];
        meta.ip_len = room;
    }

    apply {
        // Behind packet_out, 20 octets, and the link header.
        room = meta.frame_len - (hdr.vlan.isValid() ? 16w38 : 16w34);
        if (!hdr.packet_out.isValid()) {
            refuse();
        } else if (hdr.packet_out.op == OUT_SEND) {
            send();
            if (!hdr.eth.isValid() || hdr.packet_out.port[15:9] != 0
                || meta.egress_port >= FIRST_RESERVED_PORT) {
                refuse();
            }
        } else if (hdr.packet_out.op == OUT_ROUTE) {
            route();
            if (!hdr.ip.isValid() && !hdr.ip6.isValid()
                || hdr.ip.isValid() && (hdr.ip.version != 4 || hdr.ip.ihl < 5)
                || hdr.ip6.isValid() && hdr.ip6.version != 6
                || meta.unread_chain == 1
                || meta.ip_len < meta.l4_offset || meta.ip_len > room) {
                refuse();
            } else if (meta.l4_protocol == PROTO_UDP
                       && (meta.sport == UDP_IKE || meta.sport == UDP_IKE_NAT_T)) {
                // RFC 4301 4.4.1: IKE itself is beyond policy; nothing else of ours is.
                meta.cleared = 1;
            }
        } else if (hdr.packet_out.op == OUT_DUMMY) {
            seal_dummy();
            if (!hdr.eth.isValid() || hdr.packet_out.index[31:16] != 0) {
                refuse();
            }
        } else {
            meta.path = path_t.CONTROL;
        }
    }
}
