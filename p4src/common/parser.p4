// Pass 1 extracts only what it may rewrite and looks ahead at the rest; the engine's open
// replies are taken apart down to the inner packet.
#ifndef P4ESP_PARSER
#define P4ESP_PARSER

#include "headers.p4"
#include "metadata.p4"

error {
    BadIpv4Header
}

parser gateway_parser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t standard) {
    state start {
        transition select(standard.ingress_port) {
            CPU_PORT:    parse_packet_out;
            CRYPTO_PORT: parse_crypto;
            default:     parse_ethernet;
        }
    }

    state parse_packet_out {
        packet.extract(hdr.packet_out);
        transition select(hdr.packet_out.op) {
            OUT_SEND:  parse_opaque_frame;
            OUT_ROUTE: parse_ethernet;
            default:   accept;
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
            default:        accept;
        }
    }

    state parse_vlan {
        packet.extract(hdr.vlan);
        meta.vid = hdr.vlan.vid;
        meta.ether_type = hdr.vlan.ether_type;
        transition select(hdr.vlan.ether_type) {
            ETHERTYPE_IPV4: parse_ipv4;
            default:        accept;
        }
    }

    state parse_crypto {
        packet.extract(hdr.eth);
        packet.extract(hdr.cx);
        transition select(hdr.cx.op, hdr.cx.status) {
            (CX_SEALED, CX_DONE): parse_sealed;
            (CX_OPENED, CX_DONE): parse_opened;
            default:              accept;
        }
    }

    // We built this outer header: it has no options.
    state parse_sealed {
        packet.extract(hdr.outer_ip);
        transition select(hdr.outer_ip.protocol) {
            PROTO_UDP: parse_sealed_udp;
            PROTO_ESP: parse_sealed_esp;
            default:   accept;
        }
    }

    state parse_sealed_udp {
        packet.extract(hdr.outer_udp);
        transition parse_sealed_esp;
    }

    state parse_sealed_esp {
        packet.extract(hdr.esp);
        transition accept;
    }

    state parse_opened {
        packet.extract(hdr.outer_ip);
        verify(hdr.outer_ip.ihl >= 5, error.BadIpv4Header);
        transition select(hdr.outer_ip.ihl) {
            5:       parse_opened_protocol;
            default: parse_outer_options;
        }
    }

    state parse_outer_options {
        packet.extract(hdr.outer_opt, (bit<32>)(((bit<16>)hdr.outer_ip.ihl - 5) << 5));
        transition parse_opened_protocol;
    }

    state parse_opened_protocol {
        transition select(hdr.outer_ip.protocol) {
            PROTO_UDP: parse_outer_udp;
            default:   parse_esp;
        }
    }

    state parse_outer_udp {
        packet.extract(hdr.outer_udp);
        transition parse_esp;
    }

    state parse_esp {
        packet.extract(hdr.esp);
        transition select(hdr.cx.iv_len) {
            0:       parse_inner;
            default: parse_esp_iv;
        }
    }

    state parse_esp_iv {
        packet.extract(hdr.esp_iv);
        transition parse_inner;
    }

    state parse_inner {
        transition select(hdr.cx.next_header) {
            PROTO_IPV4: parse_ipv4;
            default:    accept;
        }
    }

    state parse_ipv4 {
        packet.extract(hdr.ip);
        verify(hdr.ip.version == 4 && hdr.ip.ihl >= 5, error.BadIpv4Header);
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
            (0, _, _):          no_ports;
            default:            accept;
        }
    }

    // Protocols without ports: the selectors see port zero.
    state no_ports {
        meta.l4_known = 1;
        transition accept;
    }

    state peek_ports {
        ports_t ports = packet.lookahead<ports_t>();
        meta.l4 = l4_t.PORTS;
        meta.l4_known = 1;
        meta.sport = ports.sport;
        meta.dport = ports.dport;
        transition accept;
    }

    // RFC 4301 4.4.1.1: type and code take the place of a port.
    state peek_icmp {
        icmp_peek_t icmp = packet.lookahead<icmp_peek_t>();
        meta.l4_known = 1;
        meta.sport = icmp.type ++ icmp.code;
        meta.dport = icmp.type ++ icmp.code;
        transition accept;
    }

    state peek_esp {
        meta.l4 = l4_t.ESP;
        meta.l4_known = 1;
        esp_t esp = packet.lookahead<esp_t>();
        meta.spi = esp.spi;
        meta.seq_lo = esp.seq;
        transition accept;
    }

    state peek_udp {
        udp_t udp = packet.lookahead<udp_t>();
        meta.l4 = l4_t.PORTS;
        meta.l4_known = 1;
        meta.sport = udp.sport;
        meta.dport = udp.dport;
        meta.udp_len = udp.length;
        // An IKE header needs 8 + 28 octets, ESP 8 + 8, a keepalive is 8 + 1.
        transition select(udp.dport, udp.length) {
            (UDP_IKE,       36 .. 65535): peek_ike;
            (UDP_IKE_NAT_T, 16 .. 65535): peek_nat_t;
            (UDP_IKE_NAT_T, 9):           peek_keepalive;
            (UDP_IKE_NAT_T, _):           nat_t_runt;
            default:                      accept;
        }
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

    // RFC 3948 2.2: four zero octets where an SPI would stand mark IKE.
    state peek_nat_t {
        udp_esp_t udp_esp = packet.lookahead<udp_esp_t>();
        meta.l4 = l4_t.ESP_UDP;
        meta.spi = udp_esp.spi;
        meta.seq_lo = udp_esp.seq;
        transition select(udp_esp.spi, meta.udp_len) {
            (0, 40 .. 65535): peek_marked_ike;
            (0, _):           nat_t_runt;
            default:          accept;
        }
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
