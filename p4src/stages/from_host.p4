// A packet-out of the controller: a frame for a port, a packet to be routed, a dummy or a ping to be
// sealed, or a control message, which arch/ answers.
control from_host_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> room;            // for content in the frame
    bool    whole;           // an IP packet, with as much of it as is looked at

    action refuse() {
        meta.drop_reason = drop_t.BAD_PACKET_OUT;
    }

    action send() {
        meta.path = path_t.SEND;
        meta.egress_port = hdr.packet_out.port[8:0];
    }

    action measure() {
        meta.ip_len = hdr.ip.isValid() ? hdr.ip.total_len : hdr.ip6.payload_len + 40;
    }

    action route() {
        meta.path = path_t.HOST;
        meta.role = role_t.PROTECTED;
        meta.ip_changed = hdr.ip.isValid() ? 1w1 : 0;
    }

    // What follows the Ethernet header is the content.
    action seal_ours(bit<8> protocol) {
        meta.path = path_t.SEAL;
        meta.of_ours = 1;
        meta.of_ours_protocol = protocol;
        meta.sa = hdr.packet_out.index[15:0];
    }

    apply {
        // Behind packet_out, 20 octets, and the link header.
        room = meta.frame_len - (hdr.vlan.isValid() ? 16w38 : 16w34);
        measure();
        // Ports must not be read from what pads the frame.
        whole = (hdr.ip.isValid() && hdr.ip.version == 4 && hdr.ip.ihl >= 5
                 || hdr.ip6.isValid() && hdr.ip6.version == 6)
            && meta.unread_chain == 0 && meta.ip_len >= meta.l4_offset
            && meta.ip_len >= meta.l4_end && meta.ip_len <= room;
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
            if (!whole) {
                refuse();
            } else if (meta.l4_protocol == PROTO_UDP
                       && (meta.sport == UDP_IKE || meta.sport == UDP_IKE_NAT_T)
                       || meta.l4 == l4_t.ECHO) {
                // RFC 4301 4.4.1: IKE is beyond policy, and so is what asks whether ESP gets through;
                // nothing else of ours is.
                meta.cleared = 1;
            }
        } else if (hdr.packet_out.op == OUT_DUMMY || hdr.packet_out.op == OUT_ECHO) {
            seal_ours(hdr.packet_out.op == OUT_DUMMY ? PROTO_NONE : PROTO_AGGFRAG);
            if (!hdr.eth.isValid() || hdr.packet_out.index[31:16] != 0) {
                refuse();
            } else if (!hdr.ip.isValid() && !hdr.ip6.isValid()) {
                meta.ip_len = room;
            } else if (!whole || meta.l4_protocol != PROTO_AGGFRAG) {
                // In transport mode the ping has the header of the two hosts.
                refuse();
            }
        } else {
            meta.path = path_t.CONTROL;
        }
    }
}
