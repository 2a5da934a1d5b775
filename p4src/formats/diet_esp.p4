// Diet-ESP (draft-ietf-ipsecme-diet-esp-07): what both ends know of an SA is not sent. Of SPI and
// sequence number the low octets travel, of the inner headers a SCHC residue (RFC 8724) whose layout
// the SA's template fixes, and there is no ESP trailer unless the SA keeps it. Tunnel mode, IP
// protocol 50, never in UDP.
//
//    SPI (8, 16, 24 or 32 low bits) | sequence number (likewise) |
//    encrypted: residue, [rest of the TCP header,] payload, [padding, trailer] | ICV
//
// The engine knows nothing of this: towards it the packet has all of SPI and number, which are the
// AAD, and the number is the IV (RFC 8750). A parser cannot know where to cut: it does so when the
// packet comes again (path CUT), and other packets do not pay for it. The hop limit is that of the
// outer header; identification and flow label stand in the headers below where they are sent.
#ifndef P4ESP_FORMAT_DIET_ESP
#define P4ESP_FORMAT_DIET_ESP

#define DIET_FLOW \
    (meta.diet == diet_t.UDP_V4 || meta.diet == diet_t.TCP_V4 \
     || meta.diet == diet_t.UDP_V6 || meta.diet == diet_t.TCP_V6)

#define DIET_TCP (meta.diet == diet_t.TCP_V4 || meta.diet == diet_t.TCP_V6)

#define DIET_V6 \
    (meta.diet == diet_t.UDP_V6 || meta.diet == diet_t.TCP_V6 \
     || meta.diet == diet_t.HOST_V6 || meta.diet == diet_t.SITE_V6)

// Octets in front of the payload: compressed, with the rest of a TCP header; and as they were.
#define DIET_RESIDUE_LEN \
    (meta.diet == diet_t.HOST_V4 ? 16w7 \
     : (meta.diet == diet_t.SITE_V4 ? 16w9 \
        : (meta.diet == diet_t.HOST_V6 ? 16w5 \
           : (meta.diet == diet_t.SITE_V6 ? 16w21 : (DIET_TCP ? 16w18 : 4)))))
#define DIET_LAYER4_LEN (DIET_TCP ? 16w20 : (DIET_FLOW ? 16w8 : 0))
#define DIET_HEADERS_LEN ((DIET_V6 ? 16w40 : 20) + DIET_LAYER4_LEN)

// Octets of the compressed ESP header.
#define DIET_ESP_LEN (meta.spi_octets + meta.sn_octets)

#define DIET_SN_MASK ((64w1 << (meta.sn_octets << 3)) - 1)

#endif
