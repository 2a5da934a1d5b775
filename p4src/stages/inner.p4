// Pass 2, inbound: does what came out of the engine fit the mode of the SA? (RFC 4301 5.2, RFC 4303
// 2.6, RFC 7402 B.1.7.)
#include "../formats/wesp_v2.p4"

control inner_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8> next;
    bit<8> announced;        // by WESP

    action refuse(drop_t reason) {
        meta.drop_reason = reason;
    }

    apply {
        meta.payload_len = hdr.cx.plain_len - meta.text_more;
        next = hdr.cx.next_header;
        announced = next;
        if (hdr.wesp.isValid()) {
            announced = hdr.wesp.next_header;
        } else if (hdr.outer_tail.isValid()) {
            announced = hdr.outer_tail.first == WESP_MARKER
                ? hdr.outer_tail.second[31:24] : hdr.outer_tail.first[31:24];
        }
        if (hdr.tih.isValid()
            && (hdr.tih.zero != 0 || hdr.tih.reserved != 0 || hdr.tih.next_header != next
                || hdr.tih.pad_len != hdr.cx.pad_len)) {
            refuse(drop_t.BAD_TIH);
        } else if (hdr.front.isValid()
                   && (hdr.front.zero != 0 || hdr.front.reserved != 0
                       || hdr.front.next_header != next
                       || hdr.front.pad_len != hdr.cx.pad_len)) {
            refuse(drop_t.BAD_TIH);
        } else if (next == PROTO_NONE) {
            refuse(drop_t.DUMMY);
        } else if (meta.wrap == wesp_t.VISIBLE && announced != next
                   || meta.wrap == wesp_t.SECOND
                      && (meta.shown != 0 && announced != next
                          || hdr.wesp_pad.isValid() && hdr.wesp_pad.zero[31:16] != PAD_N2)) {
            refuse(drop_t.ENCAP_MISMATCH);
        } else if (next == PROTO_AGGFRAG) {
            // An encrypted ping is for nobody behind us, so no selector speaks of it.
            meta.punt = punt_t.SEALED_ECHO;
        } else if (meta.mode == mode_t.TUNNEL) {
            if (next != PROTO_IPV4 && next != PROTO_IPV6) {
                refuse(drop_t.BAD_NH);
            } else if (meta.parse_failed == 1 || meta.bad_checksum == 1) {
                refuse(drop_t.BAD_INNER);
            } else if (hdr.ip.isValid()) {
                meta.ip_len = hdr.ip.total_len;
                if (hdr.ip.version != 4 || hdr.ip.ihl < 5 || meta.ip_len != meta.payload_len
                    || meta.ip_len < meta.l4_offset) {
                    refuse(drop_t.BAD_INNER);
                }
            } else if (hdr.ip6.isValid()) {
                meta.ip_len = hdr.ip6.payload_len + 40;
                if (hdr.ip6.version != 6 || meta.ip_len != meta.payload_len
                    || meta.ip_len < meta.l4_offset) {
                    refuse(drop_t.BAD_INNER);
                }
            } else {
                refuse(drop_t.BAD_INNER);
            }
        } else if (meta.l4_protocol == PROTO_FRAGMENT || meta.fragment == 1
                   || next == PROTO_BEET_PH && meta.mode != mode_t.BEET_V4) {
            refuse(drop_t.BAD_NH);
        } else if ((next == PROTO_HOPOPT || next == PROTO_ROUTING)
                   && meta.mode != mode_t.BEET_V6) {
            // They stand in front of ESP (RFC 4303 3.1.1).
            refuse(drop_t.BAD_NH);
        } else if (next == PROTO_DSTOPTS && (meta.mode == mode_t.BEET_V4
                                             || meta.mode == mode_t.TRANSPORT && hdr.ip.isValid())) {
            refuse(drop_t.BAD_NH);
        } else if (meta.mode == mode_t.BEET_V4
                   && (hdr.hop_by_hop.isValid() || hdr.early_opts.isValid()
                       || hdr.routing.isValid() || hdr.late_opts.isValid())) {
            // An IPv4 packet has none of them, behind a pseudo header either.
            refuse(drop_t.BAD_NH);
        } else if (next == PROTO_BEET_PH
                   && (meta.parse_failed == 1 || !hdr.ip_opt.isValid()
                       || meta.l4_protocol == PROTO_BEET_PH
                       || ((bit<16>)hdr.beet_ph.len << 3) + 8 > meta.payload_len)) {
            refuse(drop_t.BAD_BEET_PH);
        } else if (meta.parse_failed == 1
                   || hdr.late_opts.isValid()
                      && ((bit<16>)hdr.late_opts.len << 3) + 8 > meta.payload_len) {
            refuse(drop_t.BAD_INNER);
        }
    }
}
