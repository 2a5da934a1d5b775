// Does the length fit the SA? Checked before any sequence number and any cipher (RFC 4303 2.4).
control esp_length_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> overhead;
    bit<16> protected_len;

    apply {
        overhead = 8 + (bit<16>)meta.iv_len + meta.extra_len + (bit<16>)meta.icv_len;
        protected_len = meta.esp_len - overhead;
        if (meta.shown != 0 && meta.esp_len < overhead + meta.trailer_len) {
            meta.drop_reason = drop_t.BAD_OFFSET;
        } else if (meta.esp_len < overhead + (meta.trailer_len == 0
                                              && (meta.shown != 0 || meta.format == format_t.PSP)
                                              ? 16w0 : (bit<16>)meta.align)) {
            meta.drop_reason = drop_t.BAD_LENGTH;
        } else if (protected_len & ((bit<16>)meta.align - 1) != 0) {
            meta.drop_reason = drop_t.BAD_LENGTH;
        }
    }
}
