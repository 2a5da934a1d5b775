// Pass 2: is this the engine's answer to a request of ours? An echo, a made-up frame or one
// whose length did not change as it must goes no further.
control reply_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<32> body_len;        // behind the descriptor
    bit<32> outer_len;
    bit<32> inner_end;       // where an opened packet must end
    bit<32> sealed_least;    // what it measured at least before it was opened

    action forged() {
        meta.drop_reason = drop_t.FORGED_CX;
    }

    action take_sa() {
        meta.sa = hdr.cx.sa[15:0];
        meta.generation = hdr.cx.generation;
        meta.seq = hdr.cx.seq;
    }

    apply {
        body_len = (bit<32>)meta.frame_len - 46;
        // In transport mode the header of an opened packet is its own.
        if (hdr.outer_ip.isValid()) {
            outer_len = (bit<32>)hdr.outer_ip.total_len;
        } else if (hdr.outer_ip6.isValid()) {
            outer_len = (bit<32>)hdr.outer_ip6.payload_len + 40;
        } else if (hdr.ip.isValid()) {
            outer_len = (bit<32>)hdr.ip.total_len;
        } else {
            outer_len = (bit<32>)hdr.ip6.payload_len + 40;
        }
        inner_end = (bit<32>)hdr.cx.ct_off + (bit<32>)hdr.cx.plain_len;
        sealed_least = body_len + (bit<32>)hdr.cx.icv_len
                       + (hdr.cx.flags & CX_FLAG_TRAILER != 0 ? 32w2 : 0);
        if (!hdr.cx.isValid() || hdr.eth.ether_type != ETHERTYPE_CRYPTO
            || hdr.cx.sa[23:16] != 0 || hdr.cx.status == CX_REQUEST) {
            forged();
        } else if (hdr.cx.op == CX_SEALED) {
            meta.path = path_t.SEALED;
            if (hdr.cx.status == CX_DONE
                && (!hdr.outer_ip.isValid() && !hdr.outer_ip6.isValid()
                    || body_len != outer_len)) {
                forged();
            }
        } else if (hdr.cx.op == CX_OPENED) {
            meta.path = path_t.OPENED;
            if (hdr.cx.status == CX_DONE && !hdr.esp.isValid() && !hdr.front.isValid()
                && !hdr.eesp.isValid() && !hdr.psp.isValid()) {
                forged();
            } else if (hdr.cx.status == CX_DONE
                       && (body_len != inner_end || sealed_least > outer_len)) {
                forged();
            }
        } else {
            forged();
        }
        take_sa();
    }
}
