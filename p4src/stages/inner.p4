// Pass 2, inbound: is what came out of the tunnel an IPv4 packet? (RFC 4301 5.2, RFC 4303 2.6)
control inner_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.cx.next_header == PROTO_NONE) {
            meta.drop_reason = drop_t.DUMMY;
        } else if (hdr.cx.next_header != PROTO_IPV4) {
            meta.drop_reason = drop_t.BAD_NH;
        } else if (meta.parse_failed == 1 || !hdr.ip.isValid()) {
            meta.drop_reason = drop_t.BAD_INNER;
        } else if (hdr.ip.version != 4 || hdr.ip.ihl < 5 || meta.bad_checksum == 1) {
            meta.drop_reason = drop_t.BAD_INNER;
        } else if (hdr.ip.total_len != hdr.cx.plain_len
                   || hdr.ip.total_len < (bit<16>)hdr.ip.ihl << 2) {
            meta.drop_reason = drop_t.BAD_INNER;
        }
    }
}
