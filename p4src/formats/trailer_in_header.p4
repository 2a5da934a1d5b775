// ESP trailer adjustment: pad length and next header in front of the payload, so that a packet can be
// taken apart before its end is there. Padding stays behind the payload, zero octets now. Our layout,
// with the trailer information header (TIH) of 4 octets in three variants:
//
//    inside:  SPI | sequence number | [IV] | encrypted: TIH, payload, padding | ICV
//    shown:   SPI | sequence number | [IV] | TIH | [payload in clear] | encrypted: the rest | ICV
//    none:    SPI | sequence number | [IV] | encrypted: IP packet, padding | ICV    (tunnel mode)
#ifndef P4ESP_FORMAT_TRAILER_IN_HEADER
#define P4ESP_FORMAT_TRAILER_IN_HEADER

#define DESCRIBE_TRAILER_INSIDE \
    meta.trailer_len = 0; \
    meta.text_more = 4; \
    meta.text_flags = CX_FLAG_TIH;

#define DESCRIBE_TRAILER_SHOWN \
    meta.trailer_len = 0; \
    meta.extra_len = 4 + meta.shown; \
    meta.text_more = 0 - meta.shown; \
    meta.text_flags = CX_FLAG_TIH | CX_FLAG_SHOWN;

// Nothing would tell a dummy from a packet.
#define DESCRIBE_NO_TRAILER \
    meta.trailer_len = 0; \
    meta.text_flags = CX_FLAG_TRIM; \
    if (meta.of_ours == 1) { \
        meta.drop_reason = drop_t.NOT_IN_SA; \
    }

#define BUILD_TIH(tih) \
    (tih).setValid(); \
    (tih).zero = 0; \
    (tih).reserved = 0; \
    (tih).next_header = meta.inner_protocol; \
    (tih).pad_len = PAD_LEN;

// Of the text that is being sealed.
#define PAD_LEN \
    (bit<8>)(meta.sealed_len - (bit<16>)meta.icv_len - meta.plain_len - meta.text_more)

#endif
