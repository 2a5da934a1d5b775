// Header in trailer, the alternative voiced at IETF 118: everything of ESP stands behind the payload.
// Our layout, under IP protocol 254. A switch has to take up the whole packet to find the SPI, which
// is what the format is here to show.
//
//    encrypted: payload, padding | TIH | SPI | sequence number (64) | ICV (128)
//
// The engine knows no such packet: on the crypto port the trailer stands in front of the text.
#ifndef P4ESP_FORMAT_HEADER_IN_TRAILER
#define P4ESP_FORMAT_HEADER_IN_TRAILER

#define DESCRIBE_HEADER_IN_TRAILER \
    meta.trailer_len = 0; \
    meta.extra_len = 8; \
    meta.text_flags = CX_FLAG_TIH; \
    meta.aad_len = 16; \
    if (meta.path == path_t.OPEN) { \
        meta.whole_seq = 1; \
        meta.seq = hdr.behind.seq; \
    }

#define BUILD_FRONT(front) \
    (front).setValid(); \
    (front).zero = 0; \
    (front).reserved = 0; \
    (front).next_header = meta.inner_protocol; \
    (front).pad_len = PAD_LEN; \
    (front).spi = meta.spi; \
    (front).seq = meta.seq;

// Pass 1, inbound.
control header_in_front_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        hdr.ahead.setValid();
        hdr.ahead.zero = hdr.behind.zero;
        hdr.ahead.reserved = hdr.behind.reserved;
        hdr.ahead.next_header = hdr.behind.next_header;
        hdr.ahead.pad_len = hdr.behind.pad_len;
        hdr.ahead.spi = hdr.behind.spi;
        hdr.ahead.seq = hdr.behind.seq;
        hdr.behind.setInvalid();
    }
}

// Pass 2, outbound.
control header_behind_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        hdr.behind.setValid();
        hdr.behind.zero = hdr.front.zero;
        hdr.behind.reserved = hdr.front.reserved;
        hdr.behind.next_header = hdr.front.next_header;
        hdr.behind.pad_len = hdr.front.pad_len;
        hdr.behind.spi = hdr.front.spi;
        hdr.behind.seq = hdr.front.seq;
        hdr.front.setInvalid();
    }
}

#endif
