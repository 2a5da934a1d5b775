// EESP (draft-ietf-ipsecme-eesp-04), under IP protocol 253: everything but padding and ICV stands in
// front, the sequence number is whole or absent, the session is a sub-SA with a key of its own, and the
// ICV covers all of it. Optimized: a tunnelled packet tells its own length. Full: a payload information
// header, which is the trailer information header of trailer_in_header.p4.
//
//    1, version 0, 0 | option length | session (16) | SPI | options | [sequence number (64)] | [IV] |
//    optimized:  encrypted: IP packet, padding | ICV
//    full:       payload information header, [payload in clear,] encrypted: payload, padding | ICV
//
// An SA that shows octets says so in each packet by a Crypt Offset option; `shown` is the most that it
// shows, payload information header included, and what our packets show. Where layer 4 must begin at
// a multiple of 8 octets, our packets have a PadN. Optimized packets may have any padding; a dummy
// could not be told from a packet. Without sequence numbers the engine is given half of the count: its
// IV is in the packet.
#ifndef P4ESP_FORMAT_EESP
#define P4ESP_FORMAT_EESP

const bit<8> EESP_FIRST_OCTET = 0x80;

#define EESP_NUMBER_LEN (meta.no_seq == 1 ? 16w0 : 8)

// In front of the payload information header; options_len is the packet's own from the parser, or
// what we send.
#define EESP_HEAD_LEN (8 + (bit<16>)meta.options_len + EESP_NUMBER_LEN)

#define DESCRIBE_EESP \
    if (meta.path == path_t.OPENED) { \
        meta.options_len = hdr.eesp.options_len; \
        meta.option = 0; \
        if (hdr.eesp_padding.isValid() && hdr.eesp_padding.type == EESP_OFFSET) { \
            meta.option = OPTION_WORD(hdr.eesp_padding); \
        } else if (hdr.eesp_option.isValid()) { \
            meta.option = OPTION_WORD(hdr.eesp_option); \
        } \
    } \
    if (meta.path == path_t.OPEN || meta.path == path_t.OPENED) { \
        READ_EESP_OFFSET \
    } \
    if (meta.path == path_t.OPEN) { \
        CHECK_EESP \
        meta.sub = meta.session; \
        meta.whole_seq = 1; \
        meta.seq = meta.no_seq == 1 ? 64w0 : meta.eesp_seq; \
    } \
    meta.trailer_len = 0; \
    meta.extra_len = EESP_HEAD_LEN - 8 + meta.shown; \
    meta.text_flags = CX_FLAG_SHOWN | CX_FLAG_TIH; \
    if (meta.format == format_t.EESP_OPTIMIZED) { \
        meta.text_flags = CX_FLAG_SHOWN | CX_FLAG_TRIM \
            | (meta.path == path_t.OPEN ? CX_FLAG_FILL : 0); \
        if (meta.of_ours == 1) { \
            meta.drop_reason = drop_t.NOT_IN_SA; \
        } \
    } \
    meta.text_more = 0; \
    if (meta.shown != 0) { \
        meta.text_more = 4 - meta.shown; \
    } else if (meta.format == format_t.EESP_FULL) { \
        meta.text_more = 4; \
    } \
    meta.aad_len = (bit<8>)EESP_HEAD_LEN;

// A packet shows what its option says, up to what was agreed. In `shown` it replaces the SA's.
#define READ_EESP_OFFSET \
    meta.most_shown = meta.shown; \
    meta.shown = meta.option[31:24] == EESP_OFFSET ? (bit<16>)meta.option[9:4] << 2 : 0;

#define OPTION_WORD(option) ((option).type ++ (option).len ++ (option).data)

// Pad1 and PadN that fill 4 octets; the data of a PadN may be anything.
#define IS_PADDING(word) \
    ((word)[31:16] == 0x0102 || (word)[31:16] == 0x0101 && (word)[7:0] == 0 \
     || (word)[31:8] == 0x000101 || (word) == 0 || (word) == 0x00000100 || (word) == 0x00010000 \
     || (word) == 0x01000000 || (word) == 0x01000100)

#define CHECK_EESP \
    if (meta.drop_reason != drop_t.NONE) { \
    } else if (meta.eesp_first != EESP_FIRST_OCTET) { \
        meta.drop_reason = drop_t.BAD_VERSION; \
    } else if (meta.options_len != 0 && meta.options_len != 4 && meta.options_len != 8 \
               || !(meta.option[31:16] == 0x0202 || IS_PADDING(meta.option)) \
                  && !(meta.options_len == 8 && meta.option[31:16] == 0x0106) \
               || !IS_PADDING(meta.padding) && meta.option[31:16] != 0x0106) { \
        meta.drop_reason = drop_t.BAD_OPTION; \
    } else if (meta.option[31:24] == EESP_OFFSET \
               && ((bit<16>)meta.option[15:10] << 2 != EESP_HEAD_LEN + (bit<16>)meta.iv_len \
                   || meta.format != format_t.EESP_FULL)) { \
        meta.drop_reason = drop_t.BAD_OPTION; \
    } else if (meta.shown > meta.most_shown || meta.shown != 0 && meta.shown < 4) { \
        meta.drop_reason = drop_t.BAD_OFFSET; \
    }

#define BUILD_EESP(eesp, eesp_option, eesp_padding, eesp_seq, esp_iv, tih) \
    (eesp).setValid(); \
    (eesp).fixed = 1; \
    (eesp).version = 0; \
    (eesp).reserved = 0; \
    (eesp).options_len = meta.options_len; \
    (eesp).session = meta.sub; \
    (eesp).spi = meta.spi; \
    if (meta.options_len != 0) { \
        (eesp_option).setValid(); \
        (eesp_option).len = 2; \
        if (meta.shown != 0) { \
            (eesp_option).type = EESP_OFFSET; \
            (eesp_option).data = (EESP_HEAD_LEN + (bit<16>)meta.iv_len) << 8 | meta.shown << 2; \
        } else { \
            (eesp_option).type = EESP_PAD_N; \
            (eesp_option).data = 0; \
        } \
    } \
    if (meta.options_len == 8) { \
        (eesp_padding).setValid(); \
        (eesp_padding).type = EESP_PAD_N; \
        (eesp_padding).len = 2; \
        (eesp_padding).data = 0; \
    } \
    if (meta.no_seq == 0) { \
        (eesp_seq).setValid(); \
        (eesp_seq).seq = meta.seq; \
    } \
    if (meta.iv_len == 8) { \
        (esp_iv).setValid(); \
        (esp_iv).iv = meta.seq + meta.iv_base; \
    } \
    if (meta.format == format_t.EESP_FULL) { \
        BUILD_TIH(tih) \
    } \
    if (meta.no_seq == 1) { \
        meta.seq = 32w0 ++ meta.seq[31:0]; \
    }

#endif
