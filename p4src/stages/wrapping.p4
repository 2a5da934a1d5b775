// Pass 1, inbound: is the packet wrapped in WESP if and only if the SA is (RFC 5840 2.3, 4.2)? The
// header is not covered by the ICV, so it must say what the SA says. The next header of an
// integrity-only SA is compared behind the engine.
control wrapping_stage(inout headers_t hdr, inout metadata_t meta) {
    bool    wrapped;
    bit<8>  header_len;      // WESP to IV
    bit<1>  padded;

    apply {
        wrapped = meta.l4 == l4_t.WESP || meta.l4 == l4_t.WESP_UDP;
        padded = meta.wesp[4:4];
        header_len = (padded == 1 ? 8w16 : 12) + meta.iv_len;
        if (wrapped != (meta.wrap != wesp_t.NONE)) {
            meta.drop_reason = drop_t.ENCAP_MISMATCH;
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
