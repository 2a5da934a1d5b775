// Pass 2, inbound: the IP header of a packet that travelled without one of its own. In transport
// mode the header in front of ESP is the packet's; a BEET packet has its addresses from the SA and
// the rest from the outer header (RFC 7402 B.1.6), a path that may have been of the other family.
control rebuild_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> options_len;
    bit<6>  dscp;
    bit<2>  ecn;
    bit<8>  hops;

    action transport_v4() {
        hdr.ip.protocol = hdr.cx.next_header;
        hdr.ip.total_len = meta.front_len + meta.payload_len;
        meta.ip_changed = 1;
    }

    action transport_v6() {
        hdr.ip6.payload_len = meta.front_len - 40 + meta.payload_len;
        if (hdr.routing.isValid()) {
            hdr.routing.next_header = hdr.cx.next_header;
        } else if (hdr.early_opts.isValid()) {
            hdr.early_opts.next_header = hdr.cx.next_header;
        } else if (hdr.hop_by_hop.isValid()) {
            hdr.hop_by_hop.next_header = hdr.cx.next_header;
        } else {
            hdr.ip6.next_header = hdr.cx.next_header;
        }
    }

    action look_outside() {
        dscp = hdr.outer_ip.dscp;
        ecn = hdr.outer_ip.ecn;
        hops = hdr.outer_ip.ttl;
        hdr.ip.identification = hdr.outer_ip.identification;
        hdr.ip.df = hdr.outer_ip.df;
        hdr.ip6.flow_label = 0;
    }

    action look_outside_v6() {
        dscp = hdr.outer_ip6.dscp;
        ecn = hdr.outer_ip6.ecn;
        hops = hdr.outer_ip6.hop_limit;
        hdr.ip.identification = 0;
        hdr.ip.df = 1;
        hdr.ip6.flow_label = hdr.outer_ip6.flow_label;
    }

    action beet_v4() {
        hdr.ip.version = 4;
        hdr.ip.ihl = (bit<4>)((20 + options_len) >> 2);
        hdr.ip.dscp = dscp;
        hdr.ip.ecn = ecn;
        hdr.ip.reserved = 0;
        hdr.ip.mf = 0;
        hdr.ip.frag_offset = 0;
        hdr.ip.ttl = hops;
        hdr.ip.protocol = meta.l4_protocol;
        hdr.ip.src = meta.sel_src;
        hdr.ip.dst = meta.sel_dst;
        meta.l4_offset = 20 + options_len;
        hdr.ip.total_len = 20 + meta.payload_len;
        if (hdr.beet_ph.isValid()) {
            // The pseudo header and its padding stay behind.
            hdr.ip.total_len = hdr.ip.total_len - 4 - (bit<16>)hdr.beet_ph.pad_len;
        }
        meta.ip_changed = 1;
    }

    action beet_v6() {
        hdr.ip6.version = 6;
        hdr.ip6.dscp = dscp;
        hdr.ip6.ecn = ecn;
        hdr.ip6.payload_len = meta.payload_len;
        hdr.ip6.next_header = hdr.cx.next_header;
        hdr.ip6.hop_limit = hops;
        meta.l4_offset = meta.l4_offset + 40;
    }

    apply {
        if (meta.mode == mode_t.TRANSPORT) {
            if (hdr.ip.isValid()) {
                transport_v4();
            } else {
                transport_v6();
            }
        } else {
            options_len = hdr.beet_ph.isValid()
                ? ((bit<16>)hdr.beet_ph.len << 3) + 4 - (bit<16>)hdr.beet_ph.pad_len : 0;
            if (meta.mode == mode_t.BEET_V4) {
                hdr.ip.setValid();
            } else {
                hdr.ip6.setValid();
            }
            if (hdr.outer_ip.isValid()) {
                look_outside();
            } else {
                look_outside_v6();
            }
            if (meta.mode == mode_t.BEET_V4) {
                beet_v4();
            } else {
                beet_v6();
            }
        }
    }
}
