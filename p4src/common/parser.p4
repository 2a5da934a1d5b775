// Pass 1 extracts only what it may rewrite and looks ahead at the rest; the engine's open
// replies are taken apart down to the inner packet.
#ifndef P4ESP_PARSER
#define P4ESP_PARSER

#include "headers.p4"
#include "metadata.p4"

error {
    BadIpv4Header,
    BadIpv6Header,
    BadBeetHeader,
    BadOuterHeader
}

// Octets of an IPv6 extension header that begins here; 256 is the most that is looked through.
#define EXT_BITS(peek) (((bit<32>)(peek).len << 6) + 48)
#define EXT_OCTETS(ext) (((bit<16>)(ext).len << 3) + 8)

parser gateway_parser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t standard) {
    state start {
        transition select(standard.ingress_port, meta.cut_port) {
            (CPU_PORT, _):    parse_packet_out;
            (_, CPU_PORT):    parse_packet_out;
            (CRYPTO_PORT, _): parse_crypto;
            default:          parse_ethernet;
        }
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        transition select(hdr.packet_out.op) {
            OUT_SEND:   parse_opaque_frame;
            OUT_DUMMY:  parse_opaque_frame;
            OUT_ROUTE:  parse_ethernet;
            OUT_ECHO:   parse_ethernet;
            OUT_INJECT: parse_ethernet;
            default:    accept;
        }
    }

    // A frame the controller has finished is not looked into.
    state parse_opaque_frame {
        packet.extract(hdr.eth);
        transition accept;
    }

    state parse_ethernet {
        packet.extract(hdr.eth);
        meta.ether_type = hdr.eth.ether_type;
        transition select(hdr.eth.ether_type) {
            ETHERTYPE_VLAN: parse_vlan;
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            default:        accept;
        }
    }

    state parse_vlan {
        packet.extract(hdr.vlan);
        meta.vid = hdr.vlan.vid;
        meta.ether_type = hdr.vlan.ether_type;
        transition select(hdr.vlan.ether_type) {
            ETHERTYPE_IPV4: parse_ipv4;
            ETHERTYPE_IPV6: parse_ipv6;
            default:        accept;
        }
    }

    // Replies of the engine.

    state parse_crypto {
        packet.extract(hdr.eth);
        packet.extract(hdr.cx);
        transition select(hdr.cx.op, hdr.cx.status, hdr.cx.flags[5:4]) {
            (CX_SEALED, CX_DONE, _): parse_outer;
            (CX_OPENED, CX_DONE, 1): parse_front;
            (CX_OPENED, CX_DONE, _): parse_outer;
            default:                 accept;
        }
    }

    // Tunnel mode and BEET, and whatever was sealed: the header that the SA put in front.
    state parse_outer {
        transition select(packet.lookahead<bit<4>>()) {
            4:       parse_outer_v4;
            6:       parse_outer_v6;
            default: accept;
        }
    }

    state parse_outer_v4 {
        packet.extract(hdr.outer_ip);
        verify(hdr.outer_ip.ihl >= 5, error.BadOuterHeader);
        transition select(hdr.outer_ip.ihl, hdr.outer_ip.protocol) {
            (5, PROTO_ESP):  parse_esp;
            (5, PROTO_TAIL): parse_tail_in_front;
            (5, PROTO_UDP):  parse_outer_udp;
            (5, PROTO_WESP): parse_wesp;
            (5, PROTO_EESP): parse_eesp;
            default:         parse_outer_options;
        }
    }

    state parse_outer_options {
        packet.extract(hdr.outer_opt, (bit<32>)(((bit<16>)hdr.outer_ip.ihl - 5) << 5));
        transition select(hdr.outer_ip.protocol) {
            PROTO_ESP:  parse_esp;
            PROTO_TAIL: parse_tail_in_front;
            PROTO_UDP:  parse_outer_udp;
            PROTO_WESP: parse_wesp;
            PROTO_EESP: parse_eesp;
            default:    accept;
        }
    }

    state parse_outer_v6 {
        packet.extract(hdr.outer_ip6);
        transition select(hdr.outer_ip6.next_header) {
            PROTO_ESP:  parse_esp;
            PROTO_TAIL: parse_tail_in_front;
            PROTO_UDP:  parse_outer_udp;
            PROTO_WESP: parse_wesp;
            PROTO_EESP: parse_eesp;
            default:    parse_outer_rest;
        }
    }

    // With extension headers in front, the descriptor knows where the SPI stands.
    state parse_outer_rest {
        verify(hdr.cx.aad_off >= 48, error.BadOuterHeader);
        packet.extract(hdr.outer_rest, (bit<32>)(((bit<16>)hdr.cx.aad_off - 48) << 3));
        packet.extract(hdr.outer_tail);
        // What is longer than ESP's header and runs up to the text is WESPv2 or, without ESP's
        // trailer, EESP. PSP alone has text that ends in nothing.
        transition select(hdr.cx.flags[7:6], hdr.cx.flags[2:1], hdr.cx.aad_len) {
            (1, 0, 8):             parse_psp;
            (1 &&& 1, _, 8):       parse_esp;
            (1 &&& 1, 1 &&& 1, _): parse_wesp;
            (1 &&& 1, _, _):       parse_eesp;
            default:               parse_esp;
        }
    }

    state parse_outer_udp {
        packet.extract(hdr.outer_udp);
        // Port 1000 may be a NAT's choice for a peer that speaks ESP: the descriptor tells.
        transition select(hdr.cx.flags[7:6], hdr.cx.flags[2:1], packet.lookahead<bit<32>>()) {
            (1, 0, _):           parse_psp;
            (_, _, WESP_MARKER): parse_wesp_marker;
            default:             parse_esp;
        }
    }

    state parse_wesp_marker {
        packet.extract(hdr.wesp_marker);
        transition parse_wesp;
    }

    state parse_wesp {
        packet.extract(hdr.wesp);
        transition select(hdr.wesp.version, hdr.wesp.padded, hdr.wesp.reserved) {
            (0, 1, _): parse_wesp_pad;
            (1, 0, 4): parse_wesp_pad;
            default:   parse_esp;
        }
    }

    state parse_wesp_pad {
        packet.extract(hdr.wesp_pad);
        transition parse_esp;
    }

    state parse_eesp {
        packet.extract(hdr.eesp);
        transition select(hdr.eesp.options_len) {
            0:       parse_eesp_number;
            4:       parse_eesp_option;
            default: parse_eesp_options;
        }
    }

    state parse_eesp_option {
        packet.extract(hdr.eesp_option);
        transition parse_eesp_number;
    }

    state parse_eesp_options {
        packet.extract(hdr.eesp_option);
        packet.extract(hdr.eesp_padding);
        transition parse_eesp_number;
    }

    // With and without a sequence number.
    state parse_eesp_number {
        transition select(hdr.cx.aad_len - hdr.eesp.options_len) {
            16:      parse_eesp_seq;
            default: parse_eesp_iv;
        }
    }

    state parse_eesp_seq {
        packet.extract(hdr.eesp_seq);
        transition parse_eesp_iv;
    }

    state parse_eesp_iv {
        transition select(hdr.cx.op, hdr.cx.iv_len) {
            (CX_SEALED, _): accept;
            (_, 0):         parse_text;
            default:        parse_esp_iv;
        }
    }

    // The cookie may have been encrypted, all of it or in part.
    state parse_psp {
        packet.extract(hdr.psp);
        packet.extract(hdr.esp_iv);
        transition select(hdr.cx.op, hdr.psp.cookie) {
            (CX_SEALED, _): accept;
            (_, 1):         parse_psp_cookie;
            default:        parse_inner;
        }
    }

    state parse_psp_cookie {
        packet.extract(hdr.psp_cookie);
        transition parse_inner;
    }

    state parse_esp {
        packet.extract(hdr.esp);
        // With SHOWN, what makes 12 octets of the AAD is no number.
        transition select(hdr.cx.op, hdr.cx.flags[6:6], hdr.cx.aad_len, hdr.cx.iv_len) {
            (_, 0, 12, _):        parse_esp_low;
            (CX_SEALED, _, _, _): accept;
            (_, _, _, 0):         parse_text;
            (_, _, _, 16):        parse_esp_long_iv;
            default:              parse_esp_iv;
        }
    }

    state parse_esp_low {
        packet.extract(hdr.esp_low);
        transition select(hdr.cx.op, hdr.cx.iv_len) {
            (CX_SEALED, _): accept;
            (_, 0):         parse_text;
            default:        parse_esp_iv;
        }
    }

    state parse_esp_iv {
        packet.extract(hdr.esp_iv);
        transition parse_text;
    }

    state parse_esp_long_iv {
        packet.extract(hdr.esp_long_iv);
        transition parse_text;
    }

    state parse_text {
        transition select(hdr.cx.flags[7:7], hdr.cx.space[23:16]) {
            (0, 0):  parse_inner;
            (1, _):  parse_tih;
            default: parse_residue;
        }
    }

    // Diet-ESP: formats/diet_expand.p4 makes a packet of it.
    state parse_residue {
        transition select(hdr.cx.space[23:16]) {
            1:       parse_flow_v4;
            2:       parse_flow_v4;
            3:       parse_host_v4;
            4:       parse_site_v4;
            5:       parse_flow_v6;
            6:       parse_flow_v6;
            7:       parse_host_v6;
            8:       parse_site_v6;
            default: accept;
        }
    }

    state parse_flow_v4 {
        packet.extract(hdr.diet_flow_v4);
        transition select(hdr.cx.space[23:16]) {
            2:       parse_rest_of_tcp;
            default: accept;
        }
    }

    state parse_host_v4 {
        packet.extract(hdr.diet_host_v4);
        transition accept;
    }

    state parse_site_v4 {
        packet.extract(hdr.diet_site_v4);
        transition accept;
    }

    state parse_flow_v6 {
        packet.extract(hdr.diet_flow_v6);
        transition select(hdr.cx.space[23:16]) {
            6:       parse_rest_of_tcp;
            default: accept;
        }
    }

    state parse_host_v6 {
        packet.extract(hdr.diet_host_v6);
        transition accept;
    }

    state parse_site_v6 {
        packet.extract(hdr.diet_site_v6);
        transition accept;
    }

    state parse_rest_of_tcp {
        packet.extract(hdr.diet_tcp);
        transition accept;
    }

    state parse_tih {
        packet.extract(hdr.tih);
        transition parse_inner;
    }

    // What was sealed goes in front of its trailer, so all of it has to be taken up.
    state parse_tail_in_front {
        packet.extract(hdr.front);
        transition select(hdr.cx.op, hdr.cx.plain_len) {
            (CX_SEALED, 1 .. TAIL_PAYLOAD_MAX): parse_sealed_body;
            (CX_SEALED, _):                  accept;
            default:                         parse_inner;
        }
    }

    state parse_sealed_body {
        packet.extract(hdr.body, (bit<32>)(hdr.cx.plain_len + (bit<16>)hdr.cx.pad_len) << 3);
        transition accept;
    }

    state parse_inner {
        meta.front_len = meta.l4_offset;
        meta.l4_protocol = hdr.cx.next_header;
        transition select(hdr.cx.flags[5:4], hdr.cx.next_header) {
            (0, PROTO_IPV4):    parse_ipv4;
            (0, PROTO_IPV6):    parse_ipv6;
            (0, _):             accept;
            (1, PROTO_UDP):     parse_l4_udp;
            (1, PROTO_TCP):     parse_l4_tcp;
            (1, PROTO_DSTOPTS): parse_late_opts;
            (2, PROTO_BEET_PH): parse_beet_ph;
            default:            parse_upper;
        }
    }

    // RFC 7402 B.1.7: with 4 octets of padding the options fill what is left of 8 octet units.
    state parse_beet_ph {
        packet.extract(hdr.beet_ph);
        meta.l4_protocol = hdr.beet_ph.next_header;
        transition select(hdr.beet_ph.pad_len, hdr.beet_ph.len) {
            (0, 0 .. 4): parse_beet_options;
            (4, 1 .. 5): parse_beet_pad;
            default:     bad_beet_ph;
        }
    }

    state bad_beet_ph {
        verify(false, error.BadBeetHeader);
        transition accept;
    }

    state parse_beet_pad {
        packet.extract(hdr.beet_pad);
        packet.extract(hdr.ip_opt, (bit<32>)((bit<16>)hdr.beet_ph.len << 6));
        transition parse_upper;
    }

    state parse_beet_options {
        packet.extract(hdr.ip_opt, (bit<32>)(((bit<16>)hdr.beet_ph.len << 6) + 32));
        transition parse_upper;
    }

    // Transport mode, opened: the header in front is that of the packet itself.
    state parse_front {
        transition select(packet.lookahead<bit<4>>()) {
            4:       parse_front_v4;
            6:       parse_front_v6;
            default: accept;
        }
    }

    state parse_front_v4 {
        packet.extract(hdr.ip);
        verify(hdr.ip.ihl >= 5, error.BadIpv4Header);
        meta.l4_offset = (bit<16>)hdr.ip.ihl << 2;
        transition select(hdr.ip.ihl, hdr.ip.protocol) {
            (5, PROTO_ESP):  parse_esp;
            (5, PROTO_UDP):  parse_outer_udp;
            (5, PROTO_WESP): parse_wesp;
            (5, PROTO_EESP): parse_eesp;
            default:         parse_front_options;
        }
    }

    state parse_front_options {
        packet.extract(hdr.ip_opt, (bit<32>)(((bit<16>)hdr.ip.ihl - 5) << 5));
        transition select(hdr.ip.protocol) {
            PROTO_ESP:  parse_esp;
            PROTO_UDP:  parse_outer_udp;
            PROTO_WESP: parse_wesp;
            PROTO_EESP: parse_eesp;
            default:    accept;
        }
    }

    state parse_front_v6 {
        packet.extract(hdr.ip6);
        meta.l4_offset = 40;
        transition select(hdr.ip6.next_header) {
            PROTO_HOPOPT:  parse_front_hop_by_hop;
            PROTO_DSTOPTS: parse_front_opts;
            PROTO_ROUTING: parse_front_routing;
            PROTO_ESP:     parse_esp;
            PROTO_UDP:     parse_outer_udp;
            PROTO_WESP:    parse_wesp;
            PROTO_EESP:    parse_eesp;
            default:       accept;
        }
    }

    state parse_front_hop_by_hop {
        packet.extract(hdr.hop_by_hop, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.hop_by_hop);
        transition select(hdr.hop_by_hop.next_header) {
            PROTO_DSTOPTS: parse_front_opts;
            PROTO_ROUTING: parse_front_routing;
            PROTO_ESP:     parse_esp;
            PROTO_UDP:     parse_outer_udp;
            PROTO_WESP:    parse_wesp;
            PROTO_EESP:    parse_eesp;
            default:       accept;
        }
    }

    state parse_front_opts {
        packet.extract(hdr.early_opts, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.early_opts);
        transition select(hdr.early_opts.next_header) {
            PROTO_ROUTING: parse_front_routing;
            PROTO_ESP:     parse_esp;
            PROTO_UDP:     parse_outer_udp;
            PROTO_WESP:    parse_wesp;
            PROTO_EESP:    parse_eesp;
            default:       accept;
        }
    }

    state parse_front_routing {
        packet.extract(hdr.routing, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.routing);
        transition select(hdr.routing.next_header) {
            PROTO_ESP:  parse_esp;
            PROTO_UDP:  parse_outer_udp;
            PROTO_WESP: parse_wesp;
            PROTO_EESP: parse_eesp;
            default:    accept;
        }
    }

    state parse_l4_udp {
        packet.extract(hdr.l4_udp);
        meta.l4 = l4_t.PORTS;
        meta.l4_known = 1;
        meta.sport = hdr.l4_udp.sport;
        meta.dport = hdr.l4_udp.dport;
        transition accept;
    }

    state parse_l4_tcp {
        ports_t ports = packet.lookahead<ports_t>();
        packet.extract(hdr.l4_tcp);
        meta.l4 = l4_t.PORTS;
        meta.l4_known = 1;
        meta.sport = ports.sport;
        meta.dport = ports.dport;
        transition accept;
    }

    // The packet that policy speaks of.

    state parse_ipv4 {
        packet.extract(hdr.ip);
        verify(hdr.ip.version == 4 && hdr.ip.ihl >= 5, error.BadIpv4Header);
        meta.l4_protocol = hdr.ip.protocol;
        meta.l4_offset = (bit<16>)hdr.ip.ihl << 2;
        transition select(hdr.ip.ihl) {
            5:       parse_layer4;
            default: parse_options;
        }
    }

    state parse_options {
        packet.extract(hdr.ip_opt, (bit<32>)(((bit<16>)hdr.ip.ihl - 5) << 5));
        transition parse_layer4;
    }

    state parse_layer4 {
        // A first fragment shows its ports, but may end before ESP or IKE begins.
        transition select(hdr.ip.frag_offset, hdr.ip.mf, hdr.ip.protocol) {
            (0, _, PROTO_TCP):  peek_ports;
            (0, 0, PROTO_UDP):  peek_udp;
            (0, 1, PROTO_UDP):  peek_ports;
            (0, _, PROTO_SCTP): peek_ports;
            (0, _, PROTO_ICMP): peek_icmp;
            (0, 0, PROTO_ESP):  peek_esp;
            (0, 0, PROTO_WESP): peek_wesp;
            (0, 0, PROTO_TAIL): parse_tail_v4;
            (0, 0, PROTO_EESP): peek_eesp_v4;
            (0, _, _):          no_ports;
            default:            accept;
        }
    }

    // Extension headers in the order of RFC 8200 4.1.
    state parse_ipv6 {
        packet.extract(hdr.ip6);
        verify(hdr.ip6.version == 6, error.BadIpv6Header);
        meta.l4_protocol = hdr.ip6.next_header;
        meta.l4_offset = 40;
        meta.tail_len = hdr.ip6.payload_len;
        transition select(standard.ingress_port, hdr.ip6.next_header) {
            (CRYPTO_PORT, _): parse_upper;
            (_, PROTO_TAIL):  parse_tail_v6;
            (_, PROTO_EESP):  peek_eesp_v6;
            default:          parse_upper;
        }
    }

    state parse_upper {
        transition select(meta.l4_protocol) {
            PROTO_TCP:      peek_ports;
            PROTO_UDP:      peek_udp;
            PROTO_SCTP:     peek_ports;
            PROTO_ICMP:     peek_icmp;
            PROTO_ICMPV6:   peek_icmp;
            PROTO_ESP:      peek_esp;
            PROTO_WESP:     peek_wesp;
            PROTO_HOPOPT:   parse_hop_by_hop;
            PROTO_DSTOPTS:  parse_opts;
            PROTO_ROUTING:  parse_routing;
            PROTO_FRAGMENT: parse_fragment;
            default:        no_ports;
        }
    }

    state parse_hop_by_hop {
        packet.extract(hdr.hop_by_hop, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_protocol = hdr.hop_by_hop.next_header;
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.hop_by_hop);
        transition select(meta.l4_protocol) {
            PROTO_DSTOPTS:  parse_opts;
            PROTO_ROUTING:  parse_routing;
            PROTO_FRAGMENT: parse_fragment;
            default:        parse_last;
        }
    }

    state parse_opts {
        transition select(packet.lookahead<ext_peek_t>().next_header) {
            PROTO_ROUTING:  parse_early_opts;
            PROTO_FRAGMENT: parse_early_opts;
            default:        parse_late_opts;
        }
    }

    state parse_early_opts {
        packet.extract(hdr.early_opts, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_protocol = hdr.early_opts.next_header;
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.early_opts);
        transition select(meta.l4_protocol) {
            PROTO_ROUTING: parse_routing;
            default:       parse_fragment;
        }
    }

    state parse_routing {
        meta.segments_left = packet.lookahead<routing_peek_t>().segments_left;
        packet.extract(hdr.routing, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_protocol = hdr.routing.next_header;
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.routing);
        transition select(meta.l4_protocol) {
            PROTO_FRAGMENT: parse_fragment;
            PROTO_DSTOPTS:  parse_late_opts;
            default:        parse_last;
        }
    }

    state parse_fragment {
        packet.extract(hdr.fragment);
        meta.l4_protocol = hdr.fragment.next_header;
        meta.l4_offset = meta.l4_offset + 8;
        meta.fragment = 1;
        transition select(hdr.fragment.offset, meta.l4_protocol) {
            (0, PROTO_DSTOPTS): parse_late_opts;
            (0, _):             parse_last;
            (_, PROTO_HOPOPT):  unread_chain;
            (_, PROTO_ROUTING): unread_chain;
            (_, PROTO_DSTOPTS): unread_chain;
            default:            accept;
        }
    }

    state parse_late_opts {
        packet.extract(hdr.late_opts, EXT_BITS(packet.lookahead<ext_peek_t>()));
        meta.l4_protocol = hdr.late_opts.next_header;
        meta.l4_offset = meta.l4_offset + EXT_OCTETS(hdr.late_opts);
        transition parse_last;
    }

    // The end of the chain. In a first fragment, ports are all that is looked at.
    state parse_last {
        transition select(meta.fragment, meta.l4_protocol) {
            (_, PROTO_TCP):      peek_ports;
            (0, PROTO_UDP):      peek_udp;
            (1, PROTO_UDP):      peek_ports;
            (_, PROTO_SCTP):     peek_ports;
            (_, PROTO_ICMP):     peek_icmp;
            (_, PROTO_ICMPV6):   peek_icmp;
            (0, PROTO_ESP):      peek_esp;
            (0, PROTO_WESP):     peek_wesp;
            (0, PROTO_EESP):     peek_eesp_behind;
            (_, PROTO_HOPOPT):   unread_chain;
            (_, PROTO_ROUTING):  unread_chain;
            (_, PROTO_FRAGMENT): unread_chain;
            (_, PROTO_DSTOPTS):  unread_chain;
            default:             no_ports;
        }
    }

    // Extension headers in another order, or twice: what is behind them is not known, so that no
    // rule of policy may decide by it.
    state unread_chain {
        meta.unread_chain = 1;
        transition accept;
    }

    // Layer 4, looked at.

    // The header in the trailer stands 32 octets from the end: a trailer of 16, and an ICV of 16.
    // All in front of it has to be taken up to get there.

    state parse_tail_v4 {
        meta.tail_len = hdr.ip.total_len - meta.l4_offset;
        transition select(standard.ingress_port) {
            CRYPTO_PORT: no_ports;
            default:     parse_tail;
        }
    }

    state parse_tail_v6 {
        meta.tail_len = hdr.ip6.payload_len + 40 - meta.l4_offset;
        transition parse_tail;
    }

    state parse_tail {
        meta.l4_known = 1;
        transition select(meta.tail_len) {
            33 .. TAIL_MAX: parse_body;
            default:             tail_runt;
        }
    }

    state tail_runt {
        meta.l4_known = 1;
        meta.l4 = l4_t.NATT_RUNT;
        transition accept;
    }

    state parse_body {
        packet.extract(hdr.body, (bit<32>)(meta.tail_len - 32) << 3);
        packet.extract(hdr.behind);
        meta.l4 = l4_t.TAIL;
        meta.l4_end = meta.l4_offset + meta.tail_len;
        meta.spi = hdr.behind.spi;
        transition accept;
    }

    // Protocols without ports: the selectors see port zero.
    state no_ports {
        meta.l4_known = 1;
        transition accept;
    }

    state peek_ports {
        meta.l4_end = meta.l4_offset + 4;
        ports_t ports = packet.lookahead<ports_t>();
        meta.l4 = l4_t.PORTS;
        meta.l4_known = 1;
        meta.sport = ports.sport;
        meta.dport = ports.dport;
        transition select(meta.cut) {
            CUT_TCP: cut_tcp;
            default: accept;
        }
    }

    state cut_tcp {
        packet.extract(hdr.l4_tcp);
        transition cut_flow;
    }

    // Is there nothing in the frame behind the packet, so that its checksum can be checked?
    state cut_flow {
        bit<32> room = standard.packet_length - (hdr.vlan.isValid() ? 32w18 : 14)
            - (hdr.packet_out.isValid() ? 32w20 : 0);
        meta.unpadded = room == (bit<32>)meta.cut_ip_len ? 1w1 : 0;
        meta.layer4_len = meta.cut_ip_len - meta.l4_offset;
        transition accept;
    }

    // RFC 4301 4.4.1.1: type and code take the place of a port.
    state peek_icmp {
        meta.l4_end = meta.l4_offset + 2;
        icmp_peek_t icmp = packet.lookahead<icmp_peek_t>();
        meta.l4_known = 1;
        meta.sport = icmp.type ++ icmp.code;
        meta.dport = icmp.type ++ icmp.code;
        transition accept;
    }

    state peek_esp {
        meta.l4_end = meta.l4_offset + 12;
        meta.l4 = l4_t.ESP;
        meta.l4_known = 1;
        esp_peek_t esp = packet.lookahead<esp_peek_t>();
        meta.spi = esp.spi;
        meta.seq_lo = esp.seq;
        meta.seq_after = esp.after;
        transition select(esp.spi, meta.cut) {
            (SPI_ECHO_REQUEST, _): parse_echo;
            (SPI_ECHO_REPLY, _):   echoed;
            (_, 0):                accept;
            default:               cut_esp;
        }
    }

    // Diet-ESP: what is known of it by now stands in the metadata.
    state cut_esp {
        packet.extract(hdr.diet_esp, (bit<32>)meta.cut << 3);
        transition accept;
    }

    state echoed {
        meta.l4 = l4_t.ECHOED;
        transition accept;
    }

    state parse_echo {
        packet.extract(hdr.echo);
        meta.l4 = l4_t.ECHO;
        transition select(hdr.echo.kind, hdr.echo.flags[7:7]) {
            (2, 0):  parse_echo_number;
            (2, 1):  parse_echo_return;
            default: accept;
        }
    }

    state parse_echo_number {
        packet.extract(hdr.echo_number);
        transition accept;
    }

    state parse_echo_return {
        packet.extract(hdr.echo_number);
        packet.extract(hdr.echo_return);
        transition accept;
    }

    // Options of 0, 4 or 8 octets are looked at; who has more is refused behind the SAD. Of an inner
    // packet nothing is.

    state peek_eesp_v4 {
        meta.tail_len = hdr.ip.total_len - meta.l4_offset;
        transition select(standard.ingress_port, meta.tail_len) {
            (CRYPTO_PORT, _): no_ports;
            (_, 24 .. 65535): peek_eesp;
            default:          tail_runt;
        }
    }

    state peek_eesp_behind {
        transition select(standard.ingress_port) {
            CRYPTO_PORT: no_ports;
            default:     peek_eesp_v6;
        }
    }

    state peek_eesp_v6 {
        meta.tail_len = meta.tail_len + 40 - meta.l4_offset;
        transition select(meta.tail_len) {
            24 .. 65535: peek_eesp;
            default:     tail_runt;
        }
    }

    state peek_eesp {
        meta.l4_end = meta.l4_offset + 24;
        meta.l4 = l4_t.EESP;
        meta.l4_known = 1;
        eesp_peek_t eesp = packet.lookahead<eesp_peek_t>();
        meta.spi = eesp.spi;
        meta.eesp_first = eesp.first;
        meta.options_len = eesp.options_len;
        meta.session = eesp.session;
        transition select(eesp.options_len) {
            0:       eesp_without_options;
            4:       eesp_one_option;
            default: eesp_two_options;
        }
    }

    state eesp_without_options {
        eesp_peek_t eesp = packet.lookahead<eesp_peek_t>();
        meta.eesp_seq = eesp.w0 ++ eesp.w1;
        transition accept;
    }

    state eesp_one_option {
        eesp_peek_t eesp = packet.lookahead<eesp_peek_t>();
        meta.option = eesp.w0;
        meta.eesp_seq = eesp.w1 ++ eesp.w2;
        transition accept;
    }

    // In any order: a crypt offset and padding.
    state eesp_two_options {
        eesp_peek_t eesp = packet.lookahead<eesp_peek_t>();
        meta.eesp_seq = eesp.w2 ++ eesp.w3;
        transition select(eesp.w0[31:24], eesp.w1[31:24]) {
            (EESP_PAD_1, EESP_OFFSET): eesp_padding_first;
            (EESP_PAD_N, EESP_OFFSET): eesp_padding_first;
            default:                   eesp_padding_last;
        }
    }

    state eesp_padding_first {
        eesp_peek_t eesp = packet.lookahead<eesp_peek_t>();
        meta.option = eesp.w1;
        meta.padding = eesp.w0;
        transition accept;
    }

    state eesp_padding_last {
        eesp_peek_t eesp = packet.lookahead<eesp_peek_t>();
        meta.option = eesp.w0;
        meta.padding = eesp.w1;
        transition accept;
    }

    state peek_wesp {
        meta.l4_end = meta.l4_offset + 12;
        meta.l4 = l4_t.WESP;
        meta.l4_known = 1;
        wesp_esp_t wesp = packet.lookahead<wesp_esp_t>();
        meta.encap_len = 4;
        meta.wesp = wesp.wesp;
        meta.spi = wesp.spi;
        meta.seq_lo = wesp.seq;
        transition select(wesp.wesp[7:6], wesp.wesp[5:0]) {
            (0, 0x10 &&& 0x10): peek_wesp_pad;
            (1, 4):             peek_wesp_pad;
            default:            accept;
        }
    }

    state peek_wesp_pad {
        meta.l4_end = meta.l4_offset + 16;
        wesp_pad_esp_t wesp = packet.lookahead<wesp_pad_esp_t>();
        meta.encap_len = 8;
        meta.spi = wesp.spi;
        meta.seq_lo = wesp.seq;
        transition accept;
    }

    state peek_udp {
        meta.l4_end = meta.l4_offset + 8;
        udp_t udp = packet.lookahead<udp_t>();
        meta.l4 = l4_t.PORTS;
        meta.l4_known = 1;
        meta.sport = udp.sport;
        meta.dport = udp.dport;
        meta.udp_len = udp.length;
        // An IKE header needs 8 + 28 octets, ESP 8 + 12, PSP 8 + 32, a keepalive is 8 + 1.
        transition select(udp.dport, udp.length, meta.cut) {
            (_, _, CUT_UDP):                 cut_udp;
            (UDP_IKE,       36 .. 65535, _): peek_ike;
            (UDP_IKE_NAT_T, 20 .. 65535, _): peek_nat_t;
            (UDP_IKE_NAT_T, 9, _):           peek_keepalive;
            (UDP_IKE_NAT_T, _, _):           nat_t_runt;
            (UDP_PSP,       40 .. 65535, _): peek_psp;
            (UDP_PSP, _, _):                 nat_t_runt;
            default:                         accept;
        }
    }

    state cut_udp {
        packet.extract(hdr.l4_udp);
        transition cut_flow;
    }

    state peek_psp {
        udp_psp_t psp = packet.lookahead<udp_psp_t>();
        meta.l4 = l4_t.PSP;
        meta.encap_len = 8;
        meta.psp = psp.first;
        meta.spi = psp.spi;
        meta.eesp_seq = psp.iv;
        transition accept;
    }

    state peek_keepalive {
        udp_keepalive_t nat_t = packet.lookahead<udp_keepalive_t>();
        transition select(nat_t.octet) {
            0xFF:    keepalive;
            default: nat_t_runt;
        }
    }

    state keepalive {
        meta.l4 = l4_t.KEEPALIVE;
        transition accept;
    }

    state nat_t_runt {
        meta.l4 = l4_t.NATT_RUNT;
        transition accept;
    }

    // RFC 3948 2.2: four zero octets where an SPI would stand mark IKE, RFC 5840 2.1: two, WESP.
    state peek_nat_t {
        udp_esp_t udp_esp = packet.lookahead<udp_esp_t>();
        meta.l4 = l4_t.ESP_UDP;
        meta.encap_len = 8;
        meta.spi = udp_esp.spi;
        meta.seq_lo = udp_esp.seq;
        meta.seq_after = udp_esp.after;
        transition select(udp_esp.spi, meta.udp_len) {
            (0, 40 .. 65535):           peek_marked_ike;
            (0, _):                     nat_t_runt;
            (WESP_MARKER, 24 .. 65535): peek_udp_wesp;
            (WESP_MARKER, _):           nat_t_runt;
            default:                    accept;
        }
    }

    state peek_udp_wesp {
        udp_wesp_esp_t wesp = packet.lookahead<udp_wesp_esp_t>();
        meta.l4 = l4_t.WESP_UDP;
        meta.encap_len = 16;
        meta.wesp = wesp.wesp;
        meta.spi = wesp.spi;
        meta.seq_lo = wesp.seq;
        transition select(wesp.wesp[7:6], wesp.wesp[5:0], meta.udp_len) {
            (0, 0x10 &&& 0x10, 28 .. 65535): peek_udp_wesp_pad;
            (0, 0x10 &&& 0x10, _):           nat_t_runt;
            (1, 4, 28 .. 65535):             peek_udp_wesp_pad;
            (1, 4, _):                       nat_t_runt;
            default:                         accept;
        }
    }

    state peek_udp_wesp_pad {
        udp_wesp_pad_esp_t wesp = packet.lookahead<udp_wesp_pad_esp_t>();
        meta.encap_len = 20;
        meta.spi = wesp.spi;
        meta.seq_lo = wesp.seq;
        transition accept;
    }

    state peek_ike {
        udp_ike_t ike = packet.lookahead<udp_ike_t>();
        meta.l4 = l4_t.IKE;
        meta.ike_new = ike.spi_r == 0 ? 1w1 : 0;
        meta.ike_local_spi = ike.initiator == 1 ? ike.spi_r : ike.spi_i;
        transition accept;
    }

    state peek_marked_ike {
        udp_marker_ike_t ike = packet.lookahead<udp_marker_ike_t>();
        meta.l4 = l4_t.IKE;
        meta.ike_new = ike.spi_r == 0 ? 1w1 : 0;
        meta.ike_local_spi = ike.initiator == 1 ? ike.spi_r : ike.spi_i;
        transition accept;
    }
}

#endif
