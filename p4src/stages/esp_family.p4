// UDP, WESP, ESP and IV of an outbound packet, in either of the two places where they may stand.
#ifndef P4ESP_ESP_FAMILY
#define P4ESP_ESP_FAMILY

#include "../formats/subspaces.p4"
#include "../formats/trailer_in_header.p4"
#include "../formats/wesp_v2.p4"
#include "../formats/eesp.p4"
#include "../formats/psp.p4"

// RFC 3948 2.1: checksum zero over IPv4; over IPv6 the engine writes it.
#define BUILD_UDP(udp) \
    (udp).setValid(); \
    (udp).sport = meta.udp_sport; \
    (udp).dport = meta.udp_dport; \
    (udp).length = meta.esp_headers_len + meta.sealed_len; \
    (udp).checksum = 0;

// RFC 5840 2. Padding makes 8 octets of it over IPv6; in UDP the marker does.
#define BUILD_WESP(wesp_marker, wesp, wesp_pad) \
    (wesp).setValid(); \
    (wesp).version = 0; \
    (wesp).reserved = 0; \
    (wesp).padded = 0; \
    if (meta.udp_encap == 1) { \
        (wesp_marker).setValid(); \
        (wesp_marker).marker = WESP_MARKER; \
    } else if (meta.outer_v6 == 1 && meta.wrap != wesp_t.SECOND) { \
        (wesp).padded = 1; \
        (wesp_pad).setValid(); \
        (wesp_pad).zero = 0; \
    } \
    if (meta.wrap == wesp_t.SECOND) { \
        BUILD_WESP_V2(wesp, wesp_pad) \
    } else if (meta.wrap == wesp_t.ENCRYPTED) { \
        (wesp).encrypted = 1; \
        (wesp).next_header = 0; \
        (wesp).header_len = 0; \
        (wesp).trailer_len = 0; \
    } else { \
        (wesp).encrypted = 0; \
        (wesp).next_header = meta.inner_protocol; \
        (wesp).header_len = ((wesp).padded == 1 ? 8w16 : 12) + meta.iv_len; \
        (wesp).trailer_len = meta.icv_len; \
    }

#define BUILD_ESP(esp, esp_iv, esp_long_iv) \
    (esp).setValid(); \
    (esp).spi = meta.spi; \
    (esp).seq = meta.seq[31:0]; \
    if (meta.iv_len == 8) { \
        (esp_iv).setValid(); \
        (esp_iv).iv = meta.seq; \
    } else if (meta.iv_len == 16) { \
        (esp_long_iv).setValid(); \
        (esp_long_iv).high = 0; \
        (esp_long_iv).low = 0; \
    }

// What a format puts in front of the text.
#define BUILD_FORMAT(esp, esp_low, tih) \
    if (meta.format == format_t.SUBSPACES) { \
        BUILD_SUBSPACE(esp, esp_low) \
    } else if (meta.format == format_t.TRAILER_INSIDE \
               || meta.format == format_t.TRAILER_SHOWN) { \
        BUILD_TIH(tih) \
    }

#define ESP_FAMILY_PROTOCOL \
    (meta.udp_encap == 1 ? PROTO_UDP \
     : (meta.wrap != wesp_t.NONE ? PROTO_WESP \
        : (meta.format == format_t.PLAIN ? PROTO_ESP \
           : (meta.format == format_t.HEADER_IN_TRAILER ? PROTO_TAIL \
              : (EESP ? PROTO_EESP : PROTO_ESP)))))

#define EESP \
    (meta.format == format_t.EESP_OPTIMIZED || meta.format == format_t.EESP_FULL)

#endif
