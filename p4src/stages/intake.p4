// Is this a packet at all? Parser errors, checksums and lengths become drop reasons here,
// before any table about addresses is asked.
control intake_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> room;            // for IP in the frame
    bool    discovery;

    action refuse_ip() {
        meta.drop_reason = meta.role == role_t.UNPROTECTED ? drop_t.BAD_OUTER : drop_t.MALFORMED;
    }

    action refuse_layer4() {
        meta.drop_reason = meta.l4_protocol == PROTO_ESP || meta.l4_protocol == PROTO_WESP
                           || meta.l4_protocol == PROTO_TAIL || meta.l4_protocol == PROTO_EESP
            ? drop_t.RUNT : drop_t.MALFORMED;
    }

    action punt(punt_t reason) {
        meta.path = path_t.PUNT;
        meta.punt = reason;
    }

    apply {
        room = meta.frame_len - (hdr.vlan.isValid() ? 16w18 : 16w14);
        if (hdr.ip.isValid()) {
            meta.ip_len = hdr.ip.total_len;
            discovery = false;
        } else {
            // RFC 4861 7.1: only from this link; its multicast reaches us by a group address.
            meta.ip_len = hdr.ip6.payload_len + 40;
            discovery = hdr.ip6.isValid() && meta.l4_protocol == PROTO_ICMPV6
                && meta.fragment == 0 && hdr.ip6.hop_limit == 255
                && meta.sport >= 0x8500 && meta.sport <= 0x89FF;
        }
        if (meta.ether_type != ETHERTYPE_IPV4 && meta.ether_type != ETHERTYPE_IPV6
            && meta.ether_type != ETHERTYPE_ARP) {
            meta.drop_reason = drop_t.NOT_IP;
        } else if (hdr.eth.dst != meta.own_mac
                   && (hdr.eth.dst[40:40] == 0
                       || meta.ether_type != ETHERTYPE_ARP && !discovery)) {
            // RFC 1812 5.3.4: a router leaves alone what a bridge floods or broadcasts.
            meta.drop_reason = drop_t.NOT_FOR_US;
        } else if (meta.ether_type == ETHERTYPE_ARP) {
            punt(punt_t.ARP);
        } else if (!hdr.ip.isValid() && !hdr.ip6.isValid()
                   || hdr.ip.isValid() && (hdr.ip.version != 4 || hdr.ip.ihl < 5)
                   || hdr.ip6.isValid() && hdr.ip6.version != 6) {
            refuse_ip();
        } else if (meta.bad_checksum == 1) {
            refuse_ip();
        } else if (meta.ip_len < meta.l4_offset || meta.ip_len > room) {
            refuse_ip();
        } else if (meta.parse_failed == 1 || meta.unread_chain == 1
                   || meta.ip_len < meta.l4_end) {
            // Ports must not be read from what pads the frame.
            refuse_layer4();
        } else if (meta.udp_len > meta.ip_len - meta.l4_offset) {
            refuse_ip();
        } else if (discovery) {
            punt(punt_t.ND);
        } else {
            meta.path = path_t.PLAIN;
        }
    }
}
