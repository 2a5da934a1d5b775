// Pass 1, outbound: what the engine is asked to do (docs/crypto-port.md).
control seal_request_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8> ct_off;

    action build_request() {
        hdr.cx.setValid();
        hdr.cx.op = CX_SEAL;
        hdr.cx.flags = meta.text_flags | (meta.esn == 1 ? CX_FLAG_ESN : 0)
                       | (meta.plain_len > meta.ip_len ? CX_FLAG_FILL : 0)
                       | ((bit<8>)meta.mode << CX_MODE_SHIFT);
        hdr.cx.status = CX_REQUEST;
        hdr.cx.next_header = meta.inner_protocol;
        hdr.cx.key = meta.key;
        hdr.cx.seq = meta.seq;
        hdr.cx.sa = (bit<24>)meta.sa;
        hdr.cx.generation = meta.generation;
        hdr.cx.space = (bit<24>)meta.space;
        // Where the engine finds the UDP header whose checksum it writes: over IPv6 alone, and PSP
        // has none.
        hdr.cx.pad_len = meta.udp_encap & meta.outer_v6 == 1 && meta.format != format_t.PSP
            ? (bit<8>)meta.front_len : 0;
        hdr.cx.aad_off = ct_off - meta.iv_len - (bit<8>)meta.extra_len - 8 - meta.aad_before;
        hdr.cx.aad_len = meta.aad_len;
        hdr.cx.iv_len = meta.iv_len;
        hdr.cx.ct_off = ct_off;
        hdr.cx.plain_len = meta.plain_len + meta.text_more;
        hdr.cx.icv_len = meta.icv_len;
        hdr.cx.align = meta.align;
        hdr.eth.ether_type = ETHERTYPE_CRYPTO;
        hdr.vlan.setInvalid();
    }

    apply {
        ct_off = (bit<8>)(meta.front_len + meta.esp_headers_len);
        build_request();
    }
}
