// Is this a packet at all? Parser errors, checksums and lengths become drop reasons here,
// before any table about addresses is asked.
control intake_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> link_len;
    bit<16> header_len;

    action refuse_ip() {
        meta.drop_reason = meta.role == role_t.UNPROTECTED ? drop_t.BAD_OUTER : drop_t.MALFORMED;
    }

    action refuse_layer4() {
        meta.drop_reason = hdr.ip.protocol == PROTO_ESP ? drop_t.RUNT : drop_t.MALFORMED;
    }

    apply {
        link_len = hdr.vlan.isValid() ? 16w18 : 16w14;
        header_len = (bit<16>)hdr.ip.ihl << 2;
        if (meta.ether_type != ETHERTYPE_IPV4 && meta.ether_type != ETHERTYPE_ARP) {
            meta.drop_reason = drop_t.NOT_IPV4;
        } else if (hdr.eth.dst != meta.own_mac
                   && (meta.ether_type == ETHERTYPE_IPV4 || hdr.eth.dst[40:40] == 0)) {
            // RFC 1812 5.3.4: a router leaves alone what a bridge floods or broadcasts.
            meta.drop_reason = drop_t.NOT_FOR_US;
        } else if (meta.ether_type == ETHERTYPE_ARP) {
            meta.path = path_t.PUNT;
            meta.punt = punt_t.ARP;
        } else if (!hdr.ip.isValid() || hdr.ip.version != 4 || hdr.ip.ihl < 5) {
            refuse_ip();
        } else if (meta.bad_checksum == 1) {
            refuse_ip();
        } else if (hdr.ip.total_len < header_len || hdr.ip.total_len > meta.frame_len - link_len) {
            refuse_ip();
        } else if (meta.parse_failed == 1) {
            refuse_layer4();
        } else {
            meta.path = path_t.PLAIN;
        }
    }
}
