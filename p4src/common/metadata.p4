// What one pass knows of a packet. Nothing that is computed on is wider than 64 bits; IPv6
// addresses are moved and matched, no more.
#ifndef P4ESP_METADATA
#define P4ESP_METADATA

#include "ids.p4"

// Kept of a packet that comes again.
const bit<8> CUT_FIELDS = 1;

struct metadata_t {
    // From the target, copied by arch/.
    bit<9>      ingress_port;
    bit<16>     frame_len;        // octets
    bit<1>      parse_failed;
    bit<1>      bad_checksum;     // of hdr.ip

    // Of a packet that comes again.
    @field_list(CUT_FIELDS)
    bit<8>      cut;
    @field_list(CUT_FIELDS)
    bit<16>     cut_ip_len;       // octets of the packet
    @field_list(CUT_FIELDS)
    bit<9>      cut_port;         // where it came in: the target forgets
    bit<1>      unpadded;         // the frame ends where the packet does

    // From the parser.
    bit<16>     ether_type;       // behind a VLAN tag, if there is one
    bit<12>     vid;              // 0: untagged
    l4_t        l4;
    bit<8>      l4_protocol;      // behind IPv6 extension headers
    bit<16>     l4_offset;        // octets of hdr.ip or hdr.ip6 with all that belongs to it
    bit<1>      unread_chain;     // IPv6 extension headers that are not looked through
    bit<16>     l4_end;           // of what was looked at behind it
    bit<1>      l4_known;         // 0: a fragment that does not carry the start of layer 4
    bit<1>      fragment;         // of IPv6; IPv4 says so itself
    bit<8>      segments_left;    // of a routing header
    bit<16>     sport;            // ICMP: type << 8 | code, and in dport the same
    bit<16>     dport;
    bit<16>     udp_len;
    bit<16>     tail_len;         // octets from layer 4 to the end, where the header is in the trailer
    bit<16>     encap_len;        // octets between layer 3 and the SPI: UDP, WESP
    bit<32>     wesp;             // the WESP header as it stands
    bit<32>     spi;
    bit<32>     seq_lo;
    bit<32>     seq_after;        // what stands behind it
    bit<8>      eesp_first;       // octet
    bit<8>      options_len;
    bit<16>     session;
    bit<32>     option;           // the first one; 0: none
    bit<32>     padding;          // the second one
    bit<64>     eesp_seq;         // of PSP: the IV
    bit<32>     psp;              // the first 4 octets as they stand
    bit<64>     ike_local_spi;
    bit<1>      ike_new;          // responder SPI zero

    // Decisions.
    role_t      role;
    bit<48>     own_mac;          // of the port
    path_t      path;
    drop_t      drop_reason;
    punt_t      punt;
    event_t     notify;
    bit<16>     ip_len;           // octets of the packet that policy speaks of
    bit<1>      local;            // its destination is ours
    bit<1>      proxied;          // of a host of ours: only IKE and ESP for it are ours
    bit<16>     local_id;
    bit<1>      labelled;         // some of our hosts have labels
    bit<8>      label;            // RFC 9478: security label; 0: none
    bit<8>      policy_version;
    bit<16>     policy;
    bit<1>      known_ike;
    bit<1>      of_ours;          // the controller made it for an SA: a dummy or a ping
    bit<8>      of_ours_protocol;

    // The SA.
    bit<8>      protocol;         // of the SAD key
    bit<16>     sa;
    bit<16>     sa_set;           // 0: none
    spread_t    spread;
    bit<8>      bucket;
    bit<8>      generation;
    bit<16>     space;
    bit<32>     key;
    mode_t      mode;
    wesp_t      wrap;
    bit<1>      esn;
    bit<8>      iv_len;
    bit<8>      icv_len;
    bit<8>      align;
    bit<16>     esp_len;          // SPI to ICV

    // What its format makes of it: stages/format.p4.
    format_t    format;
    bit<16>     last_sub;
    bit<16>     sub;              // subspace or sub-SA of the packet
    spread_t    sub_spread;
    bit<1>      key_step;         // each sub has a key of its own
    bit<8>      cell_shift;       // log2 of the replay cells of a sub
    bit<16>     shown;            // octets of payload in clear
    bit<16>     most_shown;
    bit<16>     extra_len;        // between ESP header and text, the IV apart
    bit<8>      aad_before;       // octets of AAD in front of the ESP header
    bit<64>     iv_base;          // the IV is this more than the number
    bit<1>      no_seq;           // EESP without sequence numbers
    bit<8>      psp_version;
    bit<16>     cookie_len;       // octets of PSP's virtualization cookie; 0: none
    bit<64>     cookie;
    bit<16>     text_more;        // what the text has more than the payload, modulo 2^16
    bit<16>     trailer_len;      // of RFC 4303, without padding
    bit<8>      text_flags;       // of the descriptor
    bit<8>      aad_len;
    bit<1>      whole_seq;        // all of the sequence number is in the packet
    bit<16>     payload_len;      // octets that came out of the engine

    // Diet-ESP.
    bit<1>      diet_local;       // our address may get it
    bit<16>     diet_peer;
    bit<8>      spi_octets;       // sent of the SPI
    bit<8>      sn_octets;        // and of the sequence number
    bit<64>     sn_mask;          // 0: all of it
    diet_t      diet;
    bit<1>      diet_trailer;     // the text has the trailer of RFC 4303
    bit<32>     diet_src;
    bit<32>     diet_dst;
    bit<128>    diet_src6;
    bit<128>    diet_dst6;
    bit<16>     diet_sport;
    bit<16>     diet_dport;
    bit<8>      layer4_built;     // TCP or UDP, which needs its checksum
    bit<16>     layer4_len;

    // Sequence numbers and replay.
    bit<64>     seq;
    bit<64>     seq_soft;
    bit<64>     seq_hard;
    replay_op_t replay_op;
    bit<1>      newest;           // it moved the top
    bit<16>     window;           // 0: no anti-replay service
    bit<32>     cell_base;
    bit<32>     cell_mask;
    bit<32>     trial_from;       // RFC 4303 A3: while the top's high half is this one,
    bit<32>     trial_skip;       // so much is added to what is inferred

    // An outbound SA's outer header.
    bit<1>      outer_v6;
    bit<32>     tunnel_src;
    bit<32>     tunnel_dst;
    bit<128>    tunnel_src6;
    bit<128>    tunnel_dst6;
    bit<20>     flow_label;
    bit<1>      udp_encap;
    bit<16>     udp_sport;
    bit<16>     udp_dport;
    bit<8>      tunnel_ttl;
    bit<1>      dscp_copy;
    bit<6>      dscp;
    bit<2>      df_mode;
    bit<16>     inner_mtu;        // octets; longer packets do not fit the path
    bit<16>     tfc_len;          // octets that a tunnelled packet has at least (RFC 4303 2.7)

    // What sealing makes of the packet, in octets.
    bit<16>     front_len;        // IP header in front of ESP, with what belongs to it; of an
                                  // engine's reply in transport mode as well
    bit<16>     esp_headers_len;  // UDP, WESP, ESP, IV
    bit<16>     plain_len;
    bit<16>     sealed_len;       // payload, padding, trailer, ICV
    bit<8>      inner_protocol;

    // Selector of an inbound SA that has one pair; with BEET the inner addresses.
    bit<2>      sel_multi;       // 1: in_policy has the selectors; 2: in_class has a class
    bit<32>     sel_src;
    bit<32>     sel_src_mask;
    bit<32>     sel_dst;
    bit<32>     sel_dst_mask;
    bit<8>      sel_protocol;     // 0: any
    bit<16>     sel_sport_low;
    bit<16>     sel_sport_high;
    bit<16>     sel_dport_low;
    bit<16>     sel_dport_high;

    // Where the peer of an inbound SA is now.
    bit<64>     peer_high;        // IPv4: 0
    bit<64>     peer_low;
    bit<16>     peer_port;

    // The way out.
    bit<32>     route_dst;
    bit<32>     next_hop;
    bit<128>    route_dst6;
    bit<128>    next_hop6;
    bit<9>      egress_port;
    bit<12>     egress_vid;
    role_t      egress_role;
    bit<1>      cleared;          // may leave by an unprotected port
    bit<1>      ip_changed;       // hdr.ip needs a new checksum
    bit<1>      outer_built;      // hdr.outer_ip needs its checksum
}

#endif
