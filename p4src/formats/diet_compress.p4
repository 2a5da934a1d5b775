// Diet-ESP on the way out: the inner headers become the residue (pass 1), SPI and number their low
// octets (pass 2).
#ifndef P4ESP_FORMAT_DIET_COMPRESS
#define P4ESP_FORMAT_DIET_COMPRESS

#include "diet_esp.p4"

control diet_compress_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8>  hops;
    bit<12> front;
    bit<16> flags;
    bit<28> front6;

    action look_v4() {
        hops = hdr.ip.ttl;
        front = hdr.ip.ihl ++ hdr.ip.dscp ++ hdr.ip.ecn;
        flags = hdr.ip.reserved ++ hdr.ip.df ++ hdr.ip.mf ++ hdr.ip.frag_offset;
    }

    action look_v6() {
        hops = hdr.ip6.hop_limit;
        front6 = hdr.ip6.dscp ++ hdr.ip6.ecn ++ hdr.ip6.flow_label;
    }

    action flow_v4() {
        hdr.diet_flow_v4.setValid();
        hdr.diet_flow_v4.front = front;
        hdr.diet_flow_v4.flags = flags;
        hdr.diet_flow_v4.pad = 0;
    }

    action host_v4() {
        hdr.diet_host_v4.setValid();
        hdr.diet_host_v4.front = front;
        hdr.diet_host_v4.identification = hdr.ip.identification;
        hdr.diet_host_v4.flags = flags;
        hdr.diet_host_v4.protocol = hdr.ip.protocol;
        hdr.diet_host_v4.pad = 0;
    }

    action site_v4() {
        hdr.diet_site_v4.setValid();
        hdr.diet_site_v4.front = front;
        hdr.diet_site_v4.identification = hdr.ip.identification;
        hdr.diet_site_v4.flags = flags;
        hdr.diet_site_v4.protocol = hdr.ip.protocol;
        hdr.diet_site_v4.src = hdr.ip.src[7:0];
        hdr.diet_site_v4.dst = hdr.ip.dst[7:0];
        hdr.diet_site_v4.pad = 0;
    }

    action flow_v6() {
        hdr.diet_flow_v6.setValid();
        hdr.diet_flow_v6.front = front6;
        hdr.diet_flow_v6.pad = 0;
    }

    action host_v6() {
        hdr.diet_host_v6.setValid();
        hdr.diet_host_v6.front = front6;
        hdr.diet_host_v6.next_header = hdr.ip6.next_header;
        hdr.diet_host_v6.pad = 0;
    }

    action site_v6() {
        hdr.diet_site_v6.setValid();
        hdr.diet_site_v6.front = front6;
        hdr.diet_site_v6.next_header = hdr.ip6.next_header;
        hdr.diet_site_v6.src = hdr.ip6.src[63:0];
        hdr.diet_site_v6.dst = hdr.ip6.dst[63:0];
        hdr.diet_site_v6.pad = 0;
    }

    action rest_of_tcp() {
        hdr.diet_tcp.setValid();
        hdr.diet_tcp.numbers = hdr.l4_tcp.numbers;
        hdr.diet_tcp.flags_window = hdr.l4_tcp.flags_window;
        hdr.diet_tcp.urgent = hdr.l4_tcp.urgent;
    }

    // What is not sent of the hops has to be somewhere, or a packet could go round for ever.
    action show_hops() {
        hdr.outer_ip.ttl = hops;
        hdr.outer_ip6.hop_limit = hops;
    }

    action take_off() {
        hdr.ip.setInvalid();
        hdr.ip6.setInvalid();
        hdr.l4_udp.setInvalid();
        hdr.l4_tcp.setInvalid();
    }

    apply {
        if (hdr.ip.isValid()) {
            look_v4();
            if (meta.diet == diet_t.HOST_V4) {
                host_v4();
            } else if (meta.diet == diet_t.SITE_V4) {
                site_v4();
            } else {
                flow_v4();
            }
        } else if (hdr.ip6.isValid()) {
            look_v6();
            if (meta.diet == diet_t.HOST_V6) {
                host_v6();
            } else if (meta.diet == diet_t.SITE_V6) {
                site_v6();
            } else {
                flow_v6();
            }
        }
        if (hdr.l4_tcp.isValid()) {
            rest_of_tcp();
        }
        show_hops();
        take_off();
    }
}

control diet_header_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<64> left;            // of what is to be sent, from the first bit on
    bit<8>  octets;

    action pack() {
        octets = DIET_ESP_LEN;
        left = (bit<64>)meta.spi << (meta.sn_octets << 3) | meta.seq & DIET_SN_MASK;
        left = left << (64 - (octets << 3));
        hdr.esp.setInvalid();
        hdr.outer_ip.total_len = hdr.outer_ip.total_len - 8 + (bit<16>)octets;
        hdr.outer_ip6.payload_len = hdr.outer_ip6.payload_len - 8 + (bit<16>)octets;
        meta.outer_built = hdr.outer_ip.isValid() ? 1w1 : 0;
    }

    apply {
        if (DIET_ESP_LEN != 8) {
            pack();
            if (octets & 4 != 0) {
                hdr.diet_word.setValid();
                hdr.diet_word.bits = left[63:32];
                left = left << 32;
            }
            if (octets & 2 != 0) {
                hdr.diet_half.setValid();
                hdr.diet_half.bits = left[63:48];
                left = left << 16;
            }
            if (octets & 1 != 0) {
                hdr.diet_octet.setValid();
                hdr.diet_octet.bits = left[63:56];
            }
        }
    }
}

#endif
