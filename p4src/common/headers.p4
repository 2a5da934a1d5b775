// Headers in wire order. What policy speaks of is always hdr.ip or hdr.ip6.
#ifndef P4ESP_HEADERS
#define P4ESP_HEADERS

#include "ids.p4"

// A packet-out is read and never emitted; the deparser knows packet_in alone. `port` is the egress
// port of SEND, the ingress port of INJECT, or the port on which a punted packet came in. `token`,
// `index` and `value` belong to control messages; a punted packet has its SA or policy in `index`
// and, when it was too big, in `value` what would fit.
@controller_header("packet_out")
header packet_out_t {
    bit<8>  op;
    bit<8>  status;
    bit<16> port;
    bit<32> token;
    bit<32> index;
    bit<64> value;
}

@controller_header("packet_in")
header packet_in_t {
    bit<8>  op;
    bit<8>  status;
    bit<16> port;
    bit<32> token;
    bit<32> index;
    bit<64> value;
}

header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> ether_type;
}

header vlan_t {
    bit<3>  pcp;
    bit<1>  dei;
    bit<12> vid;
    bit<16> ether_type;
}

// Crypto descriptor, docs/crypto-port.md. Offsets count from the first byte after it.
header crypto_t {
    bit<8>  op;
    bit<8>  flags;
    bit<8>  status;
    bit<8>  next_header;
    bit<32> key;
    bit<64> seq;
    bit<24> sa;
    bit<8>  generation;
    bit<24> space;
    bit<8>  pad_len;
    bit<8>  aad_off;
    bit<8>  aad_len;
    bit<8>  iv_len;
    bit<8>  ct_off;
    bit<16> plain_len;
    bit<8>  icv_len;
    bit<8>  align;
}

header ipv4_t {
    bit<4>  version;
    bit<4>  ihl;
    bit<6>  dscp;
    bit<2>  ecn;
    bit<16> total_len;
    bit<16> identification;
    bit<1>  reserved;
    bit<1>  df;
    bit<1>  mf;
    bit<13> frag_offset;
    bit<8>  ttl;
    bit<8>  protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

header ipv4_options_t {
    varbit<320> options;
}

header ipv6_t {
    bit<4>   version;
    bit<6>   dscp;
    bit<2>   ecn;
    bit<20>  flow_label;
    bit<16>  payload_len;
    bit<8>   next_header;
    bit<8>   hop_limit;
    bit<128> src;
    bit<128> dst;
}

// Hop-by-hop options, destination options, routing header: the same shape (RFC 8200 4).
header ipv6_ext_t {
    bit<8>       next_header;
    bit<8>       len;             // in units of 8 octets, without the first 8
    varbit<2032> body;
}

header ipv6_fragment_t {
    bit<8>  next_header;
    bit<8>  reserved;
    bit<13> offset;
    bit<2>  reserved_bits;
    bit<1>  more;
    bit<32> identification;
}

// Whatever stands between the outer IPv6 header and ESP: it is taken off unread.
header outer_rest_t {
    varbit<1720> octets;
}

// The 8 octets of it in front of the SPI: the end of an extension header, or UDP, or WESP.
header outer_tail_t {
    bit<32> first;
    bit<32> second;
}

header udp_t {
    bit<16> sport;
    bit<16> dport;
    bit<16> length;
    bit<16> checksum;
}

header wesp_marker_t {
    bit<32> marker;
}

// RFC 5840 2.
header wesp_header_t {
    bit<8> next_header;
    bit<8> header_len;
    bit<8> trailer_len;
    bit<2> version;
    bit<1> encrypted;
    bit<1> padded;
    bit<4> reserved;
}

header wesp_pad_t {
    bit<32> zero;
}

header esp_t {
    bit<32> spi;
    bit<32> seq;
}

// The low half of a 64-bit sequence number on the wire; `seq` above is the high one.
header esp_low_t {
    bit<32> seq_low;
}

// Trailer information: what RFC 4303 has behind the payload.
header tih_t {
    bit<4>  zero;                 // no IP version
    bit<12> reserved;
    bit<8>  next_header;
    bit<8>  pad_len;
}

// ESP ping. `kind` 1 stands for RFC 4303's padding of a packet without payload, 01 02 02 3B.
header echo_t {
    bit<32> spi;
    bit<32> seq;
    bit<8>  kind;                 // 2: request, 3: reply
    bit<8>  flags;                // 0x80: four octets stand behind the number
    bit<16> len;                  // of the data
}

header echo_number_t {
    bit<16> identifier;
    bit<16> number;
}

header echo_return_t {
    bit<32> spi;
}

// draft-ietf-ipsecme-eesp 3.1. The session is the sub-SA.
header eesp_t {
    bit<1>  fixed;                // 1
    bit<4>  version;
    bit<3>  reserved;
    bit<8>  options_len;
    bit<16> session;
    bit<32> spi;
}

header eesp_option_t {
    bit<8>  type;
    bit<8>  len;
    bit<16> data;
}

header eesp_seq_t {
    bit<64> seq;
}

// Diet-ESP. A compressed ESP header as it came, and one as it goes, in up to three parts.
header diet_esp_t {
    varbit<64> octets;
}

header diet_word_t {
    bit<32> bits;
}

header diet_half_t {
    bit<16> bits;
}

header diet_octet_t {
    bit<8> bits;
}

// Residues; each ends at an octet, `pad` is 0. IPv4: `front` is IHL, DSCP and ECN, `flags` have the
// fragment offset with them. IPv6: `front` is DSCP, ECN and flow label.
header diet_flow_v4_t {
    bit<12> front;
    bit<16> flags;
    bit<4>  pad;
}

header diet_host_v4_t {
    bit<12> front;
    bit<16> identification;
    bit<16> flags;
    bit<8>  protocol;
    bit<4>  pad;
}

header diet_site_v4_t {
    bit<12> front;
    bit<16> identification;
    bit<16> flags;
    bit<8>  protocol;
    bit<8>  src;
    bit<8>  dst;
    bit<4>  pad;
}

header diet_flow_v6_t {
    bit<28> front;
    bit<4>  pad;
}

header diet_host_v6_t {
    bit<28> front;
    bit<8>  next_header;
    bit<4>  pad;
}

header diet_site_v6_t {
    bit<28> front;
    bit<8>  next_header;
    bit<64> src;
    bit<64> dst;
    bit<4>  pad;
}

// What is sent of a TCP header.
header diet_tcp_t {
    bit<64> numbers;
    bit<32> flags_window;
    bit<16> urgent;
}

// PSP, without its IV.
header psp_t {
    bit<8>  next_header;
    bit<8>  ext_len;              // in units of 8 octets, without the first 8: 1, or 2 with a cookie
    bit<2>  reserved;
    bit<6>  offset;               // octets in clear behind the IV, divided by 4
    bit<1>  sample;
    bit<1>  drop;                 // not to be delivered
    bit<4>  version;
    bit<1>  cookie;               // a virtualization cookie stands behind the IV
    bit<1>  fixed;                // 1
    bit<32> spi;
}

header psp_cookie_t {
    bit<64> cookie;
}

// The same with the ESP header behind it, where that stands in the trailer.
header esp_tail_t {
    bit<4>  zero;
    bit<12> reserved;
    bit<8>  next_header;
    bit<8>  pad_len;
    bit<32> spi;
    bit<64> seq;
}

// What an esp_tail_t stands behind, BODY_MAX octets at most.
header body_t {
    varbit<65536> octets;
}

header esp_iv_t {
    bit<64> iv;
}

// Of a cipher whose IV the engine draws; pass 1 makes room.
header esp_long_iv_t {
    bit<64> high;
    bit<64> low;
}

// RFC 7402 B.1.7: stands in front of the options of the inner IPv4 header.
header beet_ph_t {
    bit<8> next_header;
    bit<8> len;                   // in units of 8 octets, without the first 8
    bit<8> pad_len;               // 0 or 4, in front of the options
    bit<8> reserved;
}

header beet_pad_t {
    bit<32> nops;
}

header tcp_t {
    bit<16> sport;
    bit<16> dport;
    bit<64> numbers;              // sequence and acknowledgement
    bit<32> flags_window;
    bit<16> checksum;
    bit<16> urgent;
}

// Looked at, never extracted.
header ports_t {
    bit<16> sport;
    bit<16> dport;
}

header icmp_peek_t {
    bit<8> type;
    bit<8> code;
}

header ext_peek_t {
    bit<8> next_header;
    bit<8> len;
}

header routing_peek_t {
    bit<8> next_header;
    bit<8> len;
    bit<8> type;
    bit<8> segments_left;
}

header esp_peek_t {
    bit<32> spi;
    bit<32> seq;
    bit<32> after;
}

// Base header, and what may be options and sequence number.
header eesp_peek_t {
    bit<8>  first;
    bit<8>  options_len;
    bit<16> session;
    bit<32> spi;
    bit<32> w0;
    bit<32> w1;
    bit<32> w2;
    bit<32> w3;
}

header wesp_esp_t {
    bit<32> wesp;
    bit<32> spi;
    bit<32> seq;
}

header wesp_pad_esp_t {
    bit<32> wesp;
    bit<32> zero;
    bit<32> spi;
    bit<32> seq;
}

header udp_esp_t {
    bit<64> udp;
    bit<32> spi;
    bit<32> seq;
    bit<32> after;
}

header udp_psp_t {
    bit<64> udp;
    bit<32> first;
    bit<32> spi;
    bit<64> iv;
}

header udp_wesp_esp_t {
    bit<64> udp;
    bit<32> marker;
    bit<32> wesp;
    bit<32> spi;
    bit<32> seq;
}

header udp_wesp_pad_esp_t {
    bit<64> udp;
    bit<32> marker;
    bit<32> wesp;
    bit<32> zero;
    bit<32> spi;
    bit<32> seq;
}

// Start of an IKE header behind UDP, RFC 7296 3.1; `fixed` runs up to the Initiator flag.
header udp_ike_t {
    bit<64> udp;
    bit<64> spi_i;
    bit<64> spi_r;
    bit<28> fixed;
    bit<1>  initiator;
    bit<3>  flags_low;
}

header udp_marker_ike_t {
    bit<64> udp;
    bit<32> marker;
    bit<64> spi_i;
    bit<64> spi_r;
    bit<28> fixed;
    bit<1>  initiator;
    bit<3>  flags_low;
}

header udp_keepalive_t {
    bit<64> udp;
    bit<8>  octet;
}

// The ESP family stands in front of the IP packet in tunnel mode, and behind its headers
// (`t_...`) in transport mode. In a BEET packet hdr.ip is gone: options and extension headers
// stay where they are, behind ESP.
struct headers_t {
    packet_out_t    packet_out;
    packet_in_t     packet_in;
    ethernet_t      eth;
    vlan_t          vlan;
    crypto_t        cx;
    ipv4_t          outer_ip;
    ipv4_options_t  outer_opt;
    ipv6_t          outer_ip6;
    outer_rest_t    outer_rest;
    outer_tail_t    outer_tail;
    udp_t           outer_udp;
    wesp_marker_t   wesp_marker;
    wesp_header_t   wesp;
    wesp_pad_t      wesp_pad;
    esp_t           esp;
    esp_low_t       esp_low;
    eesp_t          eesp;
    eesp_option_t   eesp_option;
    eesp_option_t   eesp_padding;
    eesp_seq_t      eesp_seq;
    psp_t           psp;
    esp_iv_t        esp_iv;
    esp_long_iv_t   esp_long_iv;
    psp_cookie_t    psp_cookie;
    tih_t           tih;
    diet_word_t     diet_word;
    diet_half_t     diet_half;
    diet_octet_t    diet_octet;
    diet_flow_v4_t  diet_flow_v4;
    diet_host_v4_t  diet_host_v4;
    diet_site_v4_t  diet_site_v4;
    diet_flow_v6_t  diet_flow_v6;
    diet_host_v6_t  diet_host_v6;
    diet_site_v6_t  diet_site_v6;
    diet_tcp_t      diet_tcp;
    esp_tail_t      front;           // on the crypto port, in place of the ESP header
    beet_ph_t       beet_ph;
    beet_pad_t      beet_pad;
    ipv4_t          ip;
    ipv4_options_t  ip_opt;
    ipv6_t          ip6;
    ipv6_ext_t      hop_by_hop;
    ipv6_ext_t      early_opts;      // destination options in front of routing or fragment header
    ipv6_ext_t      routing;
    udp_t           t_udp;
    wesp_marker_t   t_wesp_marker;
    wesp_header_t   t_wesp;
    wesp_pad_t      t_wesp_pad;
    esp_t           t_esp;
    esp_low_t       t_esp_low;
    eesp_t          t_eesp;
    eesp_option_t   t_eesp_option;
    eesp_option_t   t_eesp_padding;
    eesp_seq_t      t_eesp_seq;
    psp_t           t_psp;
    esp_iv_t        t_esp_iv;
    esp_long_iv_t   t_esp_long_iv;
    psp_cookie_t    t_psp_cookie;
    tih_t           t_tih;
    echo_t          echo;
    echo_number_t   echo_number;
    echo_return_t   echo_return;
    esp_tail_t      ahead;           // `behind` on its way to the engine
    body_t          body;
    esp_tail_t      behind;          // on the wire
    ipv6_fragment_t fragment;
    ipv6_ext_t      late_opts;
    diet_esp_t      diet_esp;
    esp_t           diet_front;      // in place of it on its way to the engine
    udp_t           l4_udp;          // only where a NAT's work on the checksum is undone,
    tcp_t           l4_tcp;          // and of a Diet-ESP flow
}

#endif
