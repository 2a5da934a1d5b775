// Pass 2, inbound: do the headers end where the descriptor says that the text begins? An engine
// returns them as they were; had it not, the text would be read at the wrong place. So would it be
// with the descriptor of another format.
control reply_layout_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> text_at;

    apply {
        if (hdr.outer_ip.isValid()) {
            text_at = (bit<16>)hdr.outer_ip.ihl << 2;
        } else if (hdr.outer_rest.isValid()) {
            text_at = (bit<16>)hdr.cx.aad_off;
        } else if (hdr.outer_ip6.isValid()) {
            text_at = 40;
        } else {
            text_at = meta.front_len;
        }
        if (hdr.outer_udp.isValid()) {
            text_at = text_at + 8;
        }
        if (hdr.wesp.isValid()) {
            text_at = text_at + (hdr.wesp_marker.isValid() ? 16w8 : 4)
                      + (hdr.wesp_pad.isValid() ? 16w4 : 0);
        }
        if (text_at + 8 + (bit<16>)hdr.cx.iv_len + meta.extra_len != (bit<16>)hdr.cx.ct_off
            || hdr.cx.aad_len != meta.aad_len
            || meta.format != format_t.DIET && hdr.cx.space[23:16] != 0
            || (hdr.cx.flags ^ meta.text_flags) & CX_FLAGS_TEXT != 0) {
            meta.drop_reason = drop_t.FORGED_CX;
        }
    }
}
