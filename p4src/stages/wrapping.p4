// Pass 1, inbound: is the packet wrapped in WESP if and only if the SA is (RFC 5840 2.3, 4.2)? The
// header is not covered by the ICV, so it must say what the SA says. The next header of an
// integrity-only SA is compared behind the engine.
control wrapping_stage(inout headers_t hdr, inout metadata_t meta) {
    bool    wrapped;
    bit<8>  header_len;      // WESP to IV
    bit<1>  padded;
    bit<8>  options_len;     // of version 2

    apply {
        wrapped = meta.l4 == l4_t.WESP || meta.l4 == l4_t.WESP_UDP;
        padded = meta.wesp[4:4];
        header_len = (padded == 1 ? 8w16 : 12) + meta.iv_len;
        if (wrapped != (meta.wrap != wesp_t.NONE)) {
            meta.drop_reason = drop_t.ENCAP_MISMATCH;
        } else if (meta.wrap == wesp_t.SECOND) {
            options_len = (bit<8>)meta.wesp[5:0];
            if (meta.wesp[7:6] != 1 || options_len != 0 && options_len != 4
                || meta.wesp[23:16] != 12 + options_len + meta.iv_len
                || meta.wesp[15:10] != ((bit<8>)meta.shown)[7:2]
                || meta.shown == 0 && meta.wesp[31:24] != PROTO_NONE
                || hdr.ip6.isValid() && meta.l4 == l4_t.WESP && meta.wesp[18:16] != 0) {
                meta.drop_reason = drop_t.ENCAP_MISMATCH;
            }
        } else if (wrapped) {
            if (meta.wesp[7:6] != 0
                || hdr.ip.isValid() && padded == 1
                || hdr.ip6.isValid() && meta.l4 == l4_t.WESP && padded == 0) {
                meta.drop_reason = drop_t.ENCAP_MISMATCH;
            } else if (meta.wrap == wesp_t.ENCRYPTED
                       && (meta.wesp[31:8] != 0 || meta.wesp[5:5] == 0)) {
                meta.drop_reason = drop_t.ENCAP_MISMATCH;
            } else if (meta.wrap == wesp_t.VISIBLE
                       && (meta.wesp[23:16] != header_len || meta.wesp[15:8] != meta.icv_len
                           || meta.wesp[5:5] == 1)) {
                meta.drop_reason = drop_t.ENCAP_MISMATCH;
            }
        }
    }
}
