// Headers in wire order; what policy speaks of is always hdr.ip.
#ifndef P4ESP_HEADERS
#define P4ESP_HEADERS

#include "ids.p4"

// A packet-out is read and never emitted; the deparser knows packet_in alone. `port` is the egress
// port of SEND, or the port on which a punted packet came in. `token`, `index` and `value` belong
// to control messages; a punted packet has its SA or policy in `index`.
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

header udp_t {
    bit<16> sport;
    bit<16> dport;
    bit<16> length;
    bit<16> checksum;
}

header esp_t {
    bit<32> spi;
    bit<32> seq;
}

header esp_iv_t {
    bit<64> iv;
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

header udp_esp_t {
    bit<64> udp;
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

struct headers_t {
    packet_out_t   packet_out;
    packet_in_t    packet_in;
    ethernet_t     eth;
    vlan_t         vlan;
    crypto_t       cx;
    ipv4_t         outer_ip;
    ipv4_options_t outer_opt;
    udp_t          outer_udp;
    esp_t          esp;
    esp_iv_t       esp_iv;
    ipv4_t         ip;
    ipv4_options_t ip_opt;
}

#endif
