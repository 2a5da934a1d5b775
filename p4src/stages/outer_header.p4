// Pass 1, outbound: the outer IP header of a tunnel (RFC 4301 5.1.2, RFC 6040 4.1 normal mode) or
// of a BEET packet, whose fields are those of the inner header (RFC 7402 B.1.5).
#include "esp_family.p4"

control outer_header_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<6>  dscp;
    bit<2>  ecn;
    bit<8>  hops;
    bit<1>  inner_df;        // an IPv6 packet is never fragmented on its way
    bit<16> identification;

    action look_inside() {
        dscp = hdr.ip.dscp;
        ecn = hdr.ip.ecn;
        hops = hdr.ip.ttl;
        inner_df = hdr.ip.df;
    }

    action look_inside_v6() {
        dscp = hdr.ip6.dscp;
        ecn = hdr.ip6.ecn;
        hops = hdr.ip6.hop_limit;
        inner_df = 1;
    }

    action look_nowhere() {
        dscp = 0;
        ecn = 0;
        hops = 64;
        inner_df = 1;
    }

    action build_v4() {
        hdr.outer_ip.setValid();
        hdr.outer_ip.version = 4;
        hdr.outer_ip.ihl = 5;
        hdr.outer_ip.dscp = dscp;
        hdr.outer_ip.ecn = ecn;
        hdr.outer_ip.total_len = 20 + meta.esp_headers_len + meta.sealed_len;
        hdr.outer_ip.reserved = 0;
        hdr.outer_ip.df = meta.df_mode == DF_COPY ? inner_df : (meta.df_mode == DF_SET ? 1w1 : 0);
        hdr.outer_ip.identification =
            meta.mode != mode_t.BEET_V4 && hdr.outer_ip.df == 1 ? 16w0 : identification;
        hdr.outer_ip.mf = 0;
        hdr.outer_ip.frag_offset = 0;
        hdr.outer_ip.ttl = hops;
        hdr.outer_ip.protocol = ESP_FAMILY_PROTOCOL;
        hdr.outer_ip.src = meta.tunnel_src;
        hdr.outer_ip.dst = meta.tunnel_dst;
        meta.outer_built = 1;
    }

    action build_v6() {
        hdr.outer_ip6.setValid();
        hdr.outer_ip6.version = 6;
        hdr.outer_ip6.dscp = dscp;
        hdr.outer_ip6.ecn = ecn;
        hdr.outer_ip6.flow_label = meta.flow_label;
        hdr.outer_ip6.payload_len = meta.esp_headers_len + meta.sealed_len;
        hdr.outer_ip6.next_header = ESP_FAMILY_PROTOCOL;
        hdr.outer_ip6.hop_limit = hops;
        hdr.outer_ip6.src = meta.tunnel_src6;
        hdr.outer_ip6.dst = meta.tunnel_dst6;
    }

    // The inner header goes; what stood behind it stays.
    action beet_v4() {
        identification = hdr.ip.identification;
        hdr.ip.setInvalid();
    }

    action beet_v6() {
        meta.flow_label = hdr.ip6.flow_label;
        hdr.ip6.setInvalid();
    }

    action beet_options() {
        bit<16> options_len = meta.l4_offset - 20;
        hdr.beet_ph.setValid();
        hdr.beet_ph.next_header = hdr.ip.protocol;
        hdr.beet_ph.len = (bit<8>)(options_len >> 3);
        hdr.beet_ph.reserved = 0;
        hdr.beet_ph.pad_len = 0;
        if (options_len & 4 == 0) {
            hdr.beet_ph.pad_len = 4;
            hdr.beet_pad.setValid();
            hdr.beet_pad.nops = 0x01010101;
        }
    }

    apply {
        if (hdr.ip.isValid()) {
            look_inside();
        } else if (hdr.ip6.isValid()) {
            look_inside_v6();
        } else {
            look_nowhere();
        }
        // Of a packet without DF it comes from the sequence number: unique for 65,536 packets of
        // one SA (RFC 6864), and of fewer where subs count apart. BEET has it from the inner header,
        // if that one is IPv4.
        identification = meta.seq[15:0] + (meta.sub << 8);
        if (meta.mode == mode_t.TUNNEL) {
            hops = meta.tunnel_ttl;
            if (meta.dscp_copy == 0) {
                dscp = meta.dscp;
            }
        } else if (meta.of_ours == 0 && meta.mode == mode_t.BEET_V4) {
            if (hdr.ip_opt.isValid()) {
                beet_options();
            }
            beet_v4();
        } else if (meta.of_ours == 0) {
            beet_v6();
        }
        if (meta.outer_v6 == 1) {
            build_v6();
        } else {
            build_v4();
        }
    }
}
