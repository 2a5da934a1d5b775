// Pass 1, inbound: the request to the engine in front of the untouched packet.
#include "../formats/diet_expand.p4"

control open_stage(inout headers_t hdr, inout metadata_t meta) {
    header_in_front_stage() header_in_front;
    diet_request_stage()    diet_request;

    bit<8> spi_at;

    action build_request() {
        hdr.cx.setValid();
        hdr.cx.op = CX_OPEN;
        hdr.cx.flags = meta.text_flags
                       | (meta.mode == mode_t.TUNNEL && meta.format != format_t.PSP
                          ? CX_FLAG_TRIM : 0)
                       | (meta.esn == 1 ? CX_FLAG_ESN : 0)
                       | ((bit<8>)meta.mode << CX_MODE_SHIFT);
        hdr.cx.status = CX_REQUEST;
        hdr.cx.next_header = meta.psp[31:24];
        hdr.cx.key = meta.key;
        hdr.cx.seq = WHOLE_NUMBER;
        hdr.cx.sa = (bit<24>)meta.sa;
        hdr.cx.generation = meta.generation;
        hdr.cx.space = (bit<24>)meta.space;
        hdr.cx.pad_len = 0;
        hdr.cx.aad_off = spi_at - meta.aad_before;
        hdr.cx.aad_len = meta.aad_len;
        hdr.cx.iv_len = meta.iv_len;
        hdr.cx.ct_off = spi_at + 8 + meta.iv_len + (bit<8>)meta.extra_len;
        hdr.cx.plain_len = meta.esp_len - 8 - (bit<16>)meta.iv_len - meta.extra_len;
        hdr.cx.icv_len = meta.icv_len;
        hdr.cx.align = meta.align;
        hdr.eth.ether_type = ETHERTYPE_CRYPTO;
        hdr.vlan.setInvalid();
    }

    apply {
        if (meta.l4_offset + meta.encap_len + 8 + (bit<16>)meta.iv_len + meta.extra_len > 255) {
            meta.drop_reason = drop_t.LONG_HEADERS;
        } else {
            spi_at = (bit<8>)(meta.l4_offset + meta.encap_len);
            build_request();
            if (meta.format != format_t.PLAIN) {
                if (meta.format == format_t.HEADER_IN_TRAILER) {
                    header_in_front.apply(hdr, meta);
                } else if (meta.format == format_t.DIET) {
                    diet_request.apply(hdr, meta);
                }
            }
        }
    }
}
