// Diet-ESP, inbound: a whole ESP header for the engine (pass 1), and the inner headers from the residue,
// the SA and the outer header (pass 2). What a residue says is authentic here, but no packet need
// come of it. Checksums are made in arch/.
#ifndef P4ESP_FORMAT_DIET_EXPAND
#define P4ESP_FORMAT_DIET_EXPAND

#include "diet_esp.p4"

control diet_request_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        hdr.diet_esp.setInvalid();
        hdr.diet_front.setValid();
        hdr.diet_front.spi = meta.spi;
        hdr.diet_front.seq = meta.seq[31:0];
        if (hdr.ip.isValid()) {
            hdr.ip.total_len = hdr.ip.total_len + 8 - (bit<16>)DIET_ESP_LEN;
            meta.ip_changed = 1;
        } else {
            hdr.ip6.payload_len = hdr.ip6.payload_len + 8 - (bit<16>)DIET_ESP_LEN;
        }
        hdr.cx.flags = hdr.cx.flags & ~CX_FLAG_TRIM;
        // The parser of pass 2 has to know which residue it is.
        hdr.cx.space = (bit<8>)meta.diet ++ meta.space;
    }
}

control diet_expand_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<32> size;            // of the packet
    bit<16> rest;            // behind the headers
    bit<8>  hops;
    bit<8>  next;
    bit<12> front;
    bit<16> flags;
    bit<28> front6;
    bit<4>  pad;
    bool    there;           // what the template needs

    action flow_v4() {
        front = hdr.diet_flow_v4.front;
        flags = hdr.diet_flow_v4.flags;
        pad = hdr.diet_flow_v4.pad;
        hdr.ip.setValid();
        // Nobody needs it but for a packet that may be fragmented (RFC 6864).
        hdr.ip.identification = flags[14:14] == 1 ? 16w0 : meta.seq[15:0];
        hdr.ip.protocol = DIET_TCP ? PROTO_TCP : PROTO_UDP;
        hdr.ip.src = meta.diet_src;
        hdr.ip.dst = meta.diet_dst;
        hdr.diet_flow_v4.setInvalid();
    }

    action host_v4() {
        front = hdr.diet_host_v4.front;
        flags = hdr.diet_host_v4.flags;
        pad = hdr.diet_host_v4.pad;
        hdr.ip.setValid();
        hdr.ip.identification = hdr.diet_host_v4.identification;
        hdr.ip.protocol = hdr.diet_host_v4.protocol;
        hdr.ip.src = meta.diet_src;
        hdr.ip.dst = meta.diet_dst;
        hdr.diet_host_v4.setInvalid();
    }

    action site_v4() {
        front = hdr.diet_site_v4.front;
        flags = hdr.diet_site_v4.flags;
        pad = hdr.diet_site_v4.pad;
        hdr.ip.setValid();
        hdr.ip.identification = hdr.diet_site_v4.identification;
        hdr.ip.protocol = hdr.diet_site_v4.protocol;
        hdr.ip.src = meta.diet_src[31:8] ++ hdr.diet_site_v4.src;
        hdr.ip.dst = meta.diet_dst[31:8] ++ hdr.diet_site_v4.dst;
        hdr.diet_site_v4.setInvalid();
    }

    action flow_v6() {
        front6 = hdr.diet_flow_v6.front;
        pad = hdr.diet_flow_v6.pad;
        hdr.ip6.setValid();
        hdr.ip6.next_header = DIET_TCP ? PROTO_TCP : PROTO_UDP;
        hdr.ip6.src = meta.diet_src6;
        hdr.ip6.dst = meta.diet_dst6;
        hdr.diet_flow_v6.setInvalid();
    }

    action host_v6() {
        front6 = hdr.diet_host_v6.front;
        pad = hdr.diet_host_v6.pad;
        hdr.ip6.setValid();
        hdr.ip6.next_header = hdr.diet_host_v6.next_header;
        hdr.ip6.src = meta.diet_src6;
        hdr.ip6.dst = meta.diet_dst6;
        hdr.diet_host_v6.setInvalid();
    }

    action site_v6() {
        front6 = hdr.diet_site_v6.front;
        pad = hdr.diet_site_v6.pad;
        hdr.ip6.setValid();
        hdr.ip6.next_header = hdr.diet_site_v6.next_header;
        hdr.ip6.src = meta.diet_src6[127:64] ++ hdr.diet_site_v6.src;
        hdr.ip6.dst = meta.diet_dst6[127:64] ++ hdr.diet_site_v6.dst;
        hdr.diet_site_v6.setInvalid();
    }

    action finish_v4() {
        hdr.ip.version = 4;
        hdr.ip.ihl = front[11:8];
        hdr.ip.dscp = front[7:2];
        hdr.ip.ecn = front[1:0];
        hdr.ip.reserved = flags[15:15];
        hdr.ip.df = flags[14:14];
        hdr.ip.mf = flags[13:13];
        hdr.ip.frag_offset = flags[12:0];
        hdr.ip.total_len = size[15:0];
        hdr.ip.ttl = hops;
        meta.l4_offset = 20;
        meta.l4_protocol = hdr.ip.protocol;
        meta.ip_changed = 1;
    }

    action finish_v6() {
        hdr.ip6.version = 6;
        hdr.ip6.dscp = front6[27:22];
        hdr.ip6.ecn = front6[21:20];
        hdr.ip6.flow_label = front6[19:0];
        hdr.ip6.payload_len = size[15:0] - 40;
        hdr.ip6.hop_limit = hops;
        meta.l4_offset = 40;
        meta.l4_protocol = hdr.ip6.next_header;
    }

    action know_ports() {
        meta.l4_known = 1;
        meta.sport = meta.diet_sport;
        meta.dport = meta.diet_dport;
        meta.layer4_built = meta.l4_protocol;
        meta.layer4_len = rest + DIET_LAYER4_LEN;
    }

    action build_udp() {
        hdr.l4_udp.setValid();
        hdr.l4_udp.sport = meta.diet_sport;
        hdr.l4_udp.dport = meta.diet_dport;
        hdr.l4_udp.length = meta.layer4_len;
    }

    action build_tcp() {
        hdr.l4_tcp.setValid();
        hdr.l4_tcp.sport = meta.diet_sport;
        hdr.l4_tcp.dport = meta.diet_dport;
        hdr.l4_tcp.numbers = hdr.diet_tcp.numbers;
        hdr.l4_tcp.flags_window = hdr.diet_tcp.flags_window;
        hdr.l4_tcp.urgent = hdr.diet_tcp.urgent;
        hdr.diet_tcp.setInvalid();
    }

    action expand_layer3() {
        hops = hdr.outer_ip.isValid() ? hdr.outer_ip.ttl : hdr.outer_ip6.hop_limit;
        rest = hdr.cx.plain_len - DIET_RESIDUE_LEN;
        size = (bit<32>)rest + (bit<32>)DIET_HEADERS_LEN;
        meta.ip_len = size[15:0];
    }

    apply {
        next = hdr.cx.next_header;
        expand_layer3();
        there = true;
        pad = 0;
        front = 0;
        flags = 0;
        front6 = 0;
        if (hdr.diet_flow_v4.isValid()) {
            flow_v4();
        } else if (hdr.diet_flow_v6.isValid()) {
            flow_v6();
        } else if (hdr.diet_host_v4.isValid()) {
            host_v4();
        } else if (hdr.diet_site_v4.isValid()) {
            site_v4();
        } else if (hdr.diet_host_v6.isValid()) {
            host_v6();
        } else if (hdr.diet_site_v6.isValid()) {
            site_v6();
        } else {
            there = false;
        }
        if (hdr.ip.isValid()) {
            finish_v4();
        } else if (hdr.ip6.isValid()) {
            finish_v6();
        }
        if (DIET_FLOW) {
            know_ports();
            if (!DIET_TCP) {
                build_udp();
            } else if (hdr.diet_tcp.isValid()) {
                build_tcp();
            } else {
                there = false;
            }
        }
        if (meta.diet_trailer == 1 && next == PROTO_NONE) {
            meta.drop_reason = drop_t.DUMMY;
        } else if (meta.diet_trailer == 1 && next != (DIET_V6 ? PROTO_IPV6 : PROTO_IPV4)) {
            meta.drop_reason = drop_t.BAD_NH;
        } else if (!there || meta.parse_failed == 1 || pad != 0
                   || hdr.cx.plain_len < DIET_RESIDUE_LEN
                   || size > 0xFFFF
                   || hdr.ip.isValid()
                      && (hdr.ip.ihl != 5
                          || DIET_FLOW && (hdr.ip.mf == 1 || hdr.ip.frag_offset != 0))) {
            meta.drop_reason = drop_t.BAD_RESIDUE;
        }
    }
}

#endif
