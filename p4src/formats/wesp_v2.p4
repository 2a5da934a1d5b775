// WESPv2 (draft-klassert-ipsecme-wespv2-01): WESP with an encryption offset, which the ICV covers
// with all that stands in front of the text. An SA may have a PadN of 4 octets, which IPv6 needs for
// its alignment, and no other option.
//
//    next header, header length, offset, version 1 and option length | [PadN] |
//    SPI | sequence number | [IV] | payload in clear | encrypted: payload, padding, trailer | ICV
#ifndef P4ESP_FORMAT_WESP_V2
#define P4ESP_FORMAT_WESP_V2

#define PAD_N2 0x0102
#define PAD_N4 0x01020000

#define DESCRIBE_WESP_V2 \
    meta.extra_len = meta.shown; \
    meta.text_more = 0 - meta.shown; \
    meta.text_flags = CX_FLAG_TRAILER | CX_FLAG_SHOWN; \
    meta.aad_before = WESP_V2_LEN; \
    meta.aad_len = 8 + WESP_V2_LEN;

// On the wire the packet tells, and wrapping.p4 holds it to the SA.
#define WESP_V2_LEN \
    (meta.path == path_t.SEAL ? (meta.outer_v6 == 1 && meta.udp_encap == 0 ? 8w8 : 4) \
     : (meta.path == path_t.OPEN ? (meta.wesp[5:0] == 4 ? 8w8 : 4) \
        : (hdr.wesp_pad.isValid() ? 8w8 : 4)))

// draft-klassert-ipsecme-wespv2 2: with everything encrypted the next header says nothing.
#define BUILD_WESP_V2(wesp, wesp_pad) \
    (wesp).version = 1; \
    (wesp).encrypted = 0; \
    (wesp).padded = 0; \
    (wesp).reserved = 0; \
    if (meta.aad_before == 8) { \
        (wesp).reserved = 4; \
        (wesp_pad).setValid(); \
        (wesp_pad).zero = PAD_N4; \
    } \
    (wesp).next_header = meta.shown == 0 ? PROTO_NONE : meta.inner_protocol; \
    (wesp).header_len = meta.aad_before + 8 + meta.iv_len; \
    (wesp).trailer_len = (bit<8>)meta.shown;

#endif
