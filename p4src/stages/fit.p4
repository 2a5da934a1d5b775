// Pass 1, outbound: can the SA carry this packet, and how long is everything then? Padding is
// deterministic (RFC 4303 2.4), so the lengths are final. Asked before the sequence number is taken.
#include "esp_family.p4"

// The payload information header of EESP is shown, too, and the cookie of PSP.
#define SHOWN_PAYLOAD (EESP ? meta.shown - 4 \
    : (meta.shown < meta.cookie_len ? 0 : meta.shown - meta.cookie_len))

control fit_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> options_len;
    bool    fragment;

    // Tunnel mode and BEET: a header of the SA's own.
    action behind_outer() {
        meta.front_len = meta.outer_v6 == 1 ? 16w40 : 20;
    }

    // What is not an IP packet has no header that BEET could leave behind.
    action of_tunnel(bit<8> protocol) {
        meta.plain_len = meta.ip_len < meta.tfc_len ? meta.tfc_len : meta.ip_len;
        meta.inner_protocol = protocol;
    }

    // Destination options in front of no routing header stay behind ESP (RFC 4303 3.1.1).
    action of_transport() {
        meta.front_len = meta.l4_offset;
        if (hdr.late_opts.isValid()) {
            meta.front_len = meta.front_len - (((bit<16>)hdr.late_opts.len << 3) + 8);
        }
        meta.plain_len = meta.ip_len - meta.front_len;
        if (hdr.ip.isValid()) {
            meta.inner_protocol = hdr.ip.protocol;
        } else if (hdr.routing.isValid()) {
            meta.inner_protocol = hdr.routing.next_header;
        } else if (hdr.hop_by_hop.isValid()) {
            meta.inner_protocol = hdr.hop_by_hop.next_header;
        } else {
            meta.inner_protocol = hdr.ip6.next_header;
        }
    }

    // RFC 7402 B.1.7: options travel behind a pseudo header, filled up to 8 octets.
    action of_beet_v4() {
        options_len = meta.l4_offset - 20;
        meta.plain_len = meta.ip_len - 20;
        meta.inner_protocol = hdr.ip.protocol;
        if (options_len != 0) {
            meta.plain_len = meta.plain_len + (options_len & 4 == 4 ? 16w4 : 8);
            meta.inner_protocol = PROTO_BEET_PH;
        }
    }

    action of_beet_v6() {
        meta.plain_len = meta.ip_len - 40;
        meta.inner_protocol = hdr.ip6.next_header;
    }

    action measure() {
        meta.esp_headers_len = 8 + (bit<16>)meta.iv_len + meta.extra_len
                               + (meta.udp_encap == 1 ? 16w8 : 0);
        if (meta.wrap == wesp_t.SECOND) {
            meta.esp_headers_len = meta.esp_headers_len + (bit<16>)meta.aad_before
                + (meta.udp_encap == 1 ? 16w4 : 0);
        } else if (meta.wrap != wesp_t.NONE) {
            meta.esp_headers_len = meta.esp_headers_len
                + (meta.udp_encap == 1 || meta.outer_v6 == 1 ? 16w8 : 4);
        }
        // Rounds payload, pad length and next header up to the alignment.
        meta.sealed_len = ((meta.plain_len + meta.text_more + meta.trailer_len - 1
                            + (bit<16>)meta.align)
                           & ~((bit<16>)meta.align - 1)) + (bit<16>)meta.icv_len;
    }

    action too_big() {
        meta.drop_reason = drop_t.TOO_BIG;
        meta.punt = punt_t.TOO_BIG;
    }

    apply {
        behind_outer();
        if (meta.of_ours == 1 && meta.mode != mode_t.TRANSPORT) {
            of_tunnel(meta.of_ours_protocol);
            if (hdr.ip.isValid() || hdr.ip6.isValid()) {
                meta.drop_reason = drop_t.BAD_PACKET_OUT;
            }
        } else if (meta.mode == mode_t.TUNNEL) {
            of_tunnel(hdr.ip.isValid() ? PROTO_IPV4 : PROTO_IPV6);
        } else {
            fragment = meta.fragment == 1 || hdr.ip6.isValid() && meta.l4_protocol == PROTO_FRAGMENT
                || hdr.ip.isValid() && (hdr.ip.mf == 1 || hdr.ip.frag_offset != 0);
            if (fragment) {
                meta.drop_reason = drop_t.INNER_FRAGMENT;
            } else if (meta.mode == mode_t.BEET_V4 && hdr.ip.isValid()
                       && hdr.ip.protocol == PROTO_BEET_PH) {
                // The peer would take its payload for a pseudo header.
                meta.drop_reason = drop_t.BAD_BEET_PH;
            } else if (meta.mode == mode_t.BEET_V4 && hdr.ip.isValid()) {
                of_beet_v4();
            } else if (meta.mode == mode_t.BEET_V6 && hdr.ip6.isValid()) {
                of_beet_v6();
            } else if (meta.mode == mode_t.TRANSPORT
                       && (meta.outer_v6 == 0 && hdr.ip.isValid()
                           && hdr.ip.src == meta.tunnel_src && hdr.ip.dst == meta.tunnel_dst
                           || meta.outer_v6 == 1 && hdr.ip6.isValid()
                           && hdr.ip6.src == meta.tunnel_src6
                           && hdr.ip6.dst == meta.tunnel_dst6)) {
                of_transport();
            } else {
                meta.drop_reason = drop_t.NOT_IN_SA;
            }
            if (meta.inner_protocol == PROTO_AGGFRAG && meta.of_ours == 0) {
                // The peer would take a host's packet for a ping of ours.
                meta.drop_reason = drop_t.BAD_NH;
            }
        }
        measure();
        if (meta.drop_reason == drop_t.NONE) {
            // TFC padding comes from the engine, so that we could not show it.
            if (meta.shown != 0
                && (meta.plain_len < SHOWN_PAYLOAD
                    || meta.mode == mode_t.TUNNEL && meta.ip_len < SHOWN_PAYLOAD)) {
                meta.drop_reason = drop_t.BAD_OFFSET;
            } else if (meta.front_len + meta.esp_headers_len > 255) {
                meta.drop_reason = drop_t.LONG_HEADERS;
            } else if (meta.ip_len > meta.inner_mtu || meta.ip_len > 0xFFFF - 1024
                       || meta.format == format_t.HEADER_IN_TRAILER
                          && meta.plain_len > TAIL_PAYLOAD_MAX) {
                // With 8-bit lengths of IV, alignment and ICV, sealing adds less than 1,024 octets.
                too_big();
            }
        }
    }
}
