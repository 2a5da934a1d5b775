// What one pass knows of a packet. No field is wider than 64 bits.
#ifndef P4ESP_METADATA
#define P4ESP_METADATA

#include "ids.p4"

struct metadata_t {
    // From the target, copied by arch/.
    bit<9>      ingress_port;
    bit<16>     frame_len;        // octets
    bit<1>      parse_failed;
    bit<1>      bad_checksum;     // of hdr.ip

    // From the parser.
    bit<16>     ether_type;       // behind a VLAN tag, if there is one
    bit<12>     vid;              // 0: untagged
    l4_t        l4;
    bit<1>      l4_known;         // 0: a fragment that does not carry the start of layer 4
    bit<16>     sport;            // ICMP: type << 8 | code, and in dport the same
    bit<16>     dport;
    bit<16>     udp_len;
    bit<32>     spi;
    bit<32>     seq_lo;
    bit<64>     ike_local_spi;
    bit<1>      ike_new;          // responder SPI zero

    // Decisions.
    role_t      role;
    bit<48>     own_mac;          // of the port
    path_t      path;
    drop_t      drop_reason;
    punt_t      punt;
    event_t     notify;
    bit<1>      local;            // hdr.ip.dst is ours
    bit<16>     local_id;
    bit<8>      policy_version;
    bit<16>     policy;
    bit<1>      known_ike;

    // The SA.
    bit<8>      protocol;         // of the SAD key
    bit<16>     sa;
    bit<8>      generation;
    bit<16>     space;
    bit<32>     key;
    bit<1>      esn;
    bit<8>      iv_len;
    bit<8>      icv_len;
    bit<8>      align;
    bit<16>     esp_len;          // SPI to ICV

    // Sequence numbers and replay.
    bit<64>     seq;
    bit<64>     seq_soft;
    bit<64>     seq_hard;
    replay_op_t replay_op;
    bit<16>     window;           // 0: no anti-replay service
    bit<32>     cell_base;
    bit<32>     cell_mask;

    // Tunnel of an outbound SA.
    bit<32>     tunnel_src;
    bit<32>     tunnel_dst;
    bit<1>      udp_encap;
    bit<16>     udp_sport;
    bit<16>     udp_dport;
    bit<8>      tunnel_ttl;
    bit<1>      dscp_copy;
    bit<6>      dscp;
    bit<2>      df_mode;

    // Selector of an inbound SA that has one pair.
    bit<1>      sel_multi;
    bit<32>     sel_src;
    bit<32>     sel_src_mask;
    bit<32>     sel_dst;
    bit<32>     sel_dst_mask;
    bit<8>      sel_protocol;     // 0: any
    bit<16>     sel_sport_low;
    bit<16>     sel_sport_high;
    bit<16>     sel_dport_low;
    bit<16>     sel_dport_high;

    // The way out.
    bit<32>     route_dst;
    bit<32>     next_hop;
    bit<9>      egress_port;
    bit<12>     egress_vid;
    role_t      egress_role;
    bit<1>      cleared;          // may leave by an unprotected port
    bit<1>      ip_changed;       // hdr.ip needs a new checksum
    bit<1>      outer_built;      // hdr.outer_ip needs its checksum
}

#endif
