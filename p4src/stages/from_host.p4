// A packet-out of the controller: a frame for a port, a packet to be routed, or a control
// message, which arch/ answers.
control from_host_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> ip_room;

    action refuse() {
        meta.drop_reason = drop_t.BAD_PACKET_OUT;
    }

    apply {
        // Behind packet_out, 20 octets, and the link header.
        ip_room = meta.frame_len - 34;
        if (hdr.vlan.isValid()) {
            ip_room = ip_room - 4;
        }
        if (!hdr.packet_out.isValid()) {
            refuse();
        } else if (hdr.packet_out.op == OUT_SEND) {
            meta.path = path_t.SEND;
            meta.egress_port = hdr.packet_out.port[8:0];
            if (!hdr.eth.isValid() || hdr.packet_out.port[15:9] != 0
                || meta.egress_port >= FIRST_RESERVED_PORT) {
                refuse();
            }
        } else if (hdr.packet_out.op == OUT_ROUTE) {
            meta.path = path_t.HOST;
            meta.role = role_t.PROTECTED;
            meta.ip_changed = 1;
            if (!hdr.ip.isValid() || hdr.ip.version != 4 || hdr.ip.ihl < 5
                || hdr.ip.total_len < (bit<16>)hdr.ip.ihl << 2
                || hdr.ip.total_len > ip_room) {
                refuse();
            } else if (hdr.ip.protocol == PROTO_UDP
                       && (meta.sport == UDP_IKE || meta.sport == UDP_IKE_NAT_T)) {
                // RFC 4301 4.4.1: IKE itself is beyond policy; nothing else of ours is.
                meta.cleared = 1;
            }
        } else {
            meta.path = path_t.CONTROL;
        }
    }
}
