// The gateway for the v1model architecture (bmv2 simple_switch, the embedded switch).
#include <core.p4>
#include <v1model.p4>

#include "../../common/ids.p4"
#include "../../common/sizes.p4"
#include "../../common/headers.p4"
#include "../../common/metadata.p4"
#include "../../common/parser.p4"
#include "state.p4"
#include "flow_bucket.p4"
#include "accounting.p4"
#include "../../esp_gateway.p4"

control verify_checksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        verify_checksum(hdr.ip.isValid(),
            { hdr.ip.version, hdr.ip.ihl, hdr.ip.dscp, hdr.ip.ecn, hdr.ip.total_len,
              hdr.ip.identification, hdr.ip.reserved, hdr.ip.df, hdr.ip.mf,
              hdr.ip.frag_offset, hdr.ip.ttl, hdr.ip.protocol, hdr.ip.src, hdr.ip.dst,
              hdr.ip_opt.options },
            hdr.ip.checksum, HashAlgorithm.csum16);
        // What Diet-ESP does not send has to be right, or the other end would make it so. A padded frame
        // does not show where the packet ends, and 0xFFFF may stand for 0.
        verify_checksum_with_payload(hdr.l4_udp.isValid() && meta.cut == CUT_UDP
                                     && meta.unpadded == 1 && hdr.l4_udp.checksum != 0
                                     && hdr.l4_udp.checksum != 0xFFFF,
            { hdr.ip.src, hdr.ip.dst, hdr.ip6.src, hdr.ip6.dst, 8w0, PROTO_UDP, hdr.l4_udp.length,
              hdr.l4_udp.sport, hdr.l4_udp.dport, hdr.l4_udp.length },
            hdr.l4_udp.checksum, HashAlgorithm.csum16);
        verify_checksum_with_payload(hdr.l4_tcp.isValid() && meta.cut == CUT_TCP
                                     && meta.unpadded == 1,
            { hdr.ip.src, hdr.ip.dst, hdr.ip6.src, hdr.ip6.dst, 8w0, PROTO_TCP, meta.layer4_len,
              hdr.l4_tcp.sport, hdr.l4_tcp.dport, hdr.l4_tcp.numbers, hdr.l4_tcp.flags_window,
              hdr.l4_tcp.urgent },
            hdr.l4_tcp.checksum, HashAlgorithm.csum16);
    }
}

control ingress(inout headers_t hdr, inout metadata_t meta,
                inout standard_metadata_t standard) {
    gateway() forwarding;
    outcome_accounting() accounting;

    apply {
        meta.ingress_port = standard.ingress_port;
        if (meta.cut != 0) {
            meta.ingress_port = meta.cut_port;
        }
        meta.frame_len = (bit<16>)standard.packet_length;
        meta.parse_failed = standard.parser_error == error.NoError ? 1w0 : 1;
        meta.bad_checksum = standard.checksum_error;
        forwarding.apply(hdr, meta);
        if (meta.path == path_t.CUT && meta.drop_reason == drop_t.NONE) {
            meta.cut_port = standard.ingress_port;
            resubmit_preserving_field_list(CUT_FIELDS);
        } else {
            accounting.apply(hdr, meta, standard);
        }
    }
}

control egress(inout headers_t hdr, inout metadata_t meta,
               inout standard_metadata_t standard) {
    apply {}
}

control update_checksums(inout headers_t hdr, inout metadata_t meta) {
    apply {
        update_checksum(meta.outer_built == 1,
            { hdr.outer_ip.version, hdr.outer_ip.ihl, hdr.outer_ip.dscp, hdr.outer_ip.ecn,
              hdr.outer_ip.total_len, hdr.outer_ip.identification, hdr.outer_ip.reserved,
              hdr.outer_ip.df, hdr.outer_ip.mf, hdr.outer_ip.frag_offset, hdr.outer_ip.ttl,
              hdr.outer_ip.protocol, hdr.outer_ip.src, hdr.outer_ip.dst },
            hdr.outer_ip.checksum, HashAlgorithm.csum16);
        update_checksum(meta.ip_changed == 1,
            { hdr.ip.version, hdr.ip.ihl, hdr.ip.dscp, hdr.ip.ecn, hdr.ip.total_len,
              hdr.ip.identification, hdr.ip.reserved, hdr.ip.df, hdr.ip.mf,
              hdr.ip.frag_offset, hdr.ip.ttl, hdr.ip.protocol, hdr.ip.src, hdr.ip.dst,
              hdr.ip_opt.options },
            hdr.ip.checksum, HashAlgorithm.csum16);
        update_checksum_with_payload(meta.layer4_built == PROTO_UDP,
            { hdr.ip.src, hdr.ip.dst, hdr.ip6.src, hdr.ip6.dst, 8w0, PROTO_UDP, hdr.l4_udp.length,
              hdr.l4_udp.sport, hdr.l4_udp.dport, hdr.l4_udp.length },
            hdr.l4_udp.checksum, HashAlgorithm.csum16);
        // RFC 768: a computed 0 is sent as all ones, which is the sum of nothing.
        update_checksum(meta.layer4_built == PROTO_UDP && hdr.l4_udp.checksum == 0,
            { 16w0 }, hdr.l4_udp.checksum, HashAlgorithm.csum16);
        update_checksum_with_payload(meta.layer4_built == PROTO_TCP,
            { hdr.ip.src, hdr.ip.dst, hdr.ip6.src, hdr.ip6.dst, 8w0, PROTO_TCP, meta.layer4_len,
              hdr.l4_tcp.sport, hdr.l4_tcp.dport, hdr.l4_tcp.numbers, hdr.l4_tcp.flags_window,
              hdr.l4_tcp.urgent },
            hdr.l4_tcp.checksum, HashAlgorithm.csum16);
    }
}

control deparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.packet_in);
        packet.emit(hdr.eth);
        packet.emit(hdr.vlan);
        packet.emit(hdr.cx);
        packet.emit(hdr.outer_ip);
        packet.emit(hdr.outer_opt);
        packet.emit(hdr.outer_ip6);
        packet.emit(hdr.outer_rest);
        packet.emit(hdr.outer_tail);
        packet.emit(hdr.outer_udp);
        packet.emit(hdr.wesp_marker);
        packet.emit(hdr.wesp);
        packet.emit(hdr.wesp_pad);
        packet.emit(hdr.esp);
        packet.emit(hdr.esp_low);
        packet.emit(hdr.eesp);
        packet.emit(hdr.eesp_option);
        packet.emit(hdr.eesp_padding);
        packet.emit(hdr.eesp_seq);
        packet.emit(hdr.psp);
        packet.emit(hdr.esp_iv);
        packet.emit(hdr.esp_long_iv);
        packet.emit(hdr.psp_cookie);
        packet.emit(hdr.tih);
        packet.emit(hdr.diet_word);
        packet.emit(hdr.diet_half);
        packet.emit(hdr.diet_octet);
        packet.emit(hdr.diet_flow_v4);
        packet.emit(hdr.diet_host_v4);
        packet.emit(hdr.diet_site_v4);
        packet.emit(hdr.diet_flow_v6);
        packet.emit(hdr.diet_host_v6);
        packet.emit(hdr.diet_site_v6);
        packet.emit(hdr.diet_tcp);
        packet.emit(hdr.front);
        packet.emit(hdr.beet_ph);
        packet.emit(hdr.beet_pad);
        packet.emit(hdr.ip);
        packet.emit(hdr.ip_opt);
        packet.emit(hdr.ip6);
        packet.emit(hdr.hop_by_hop);
        packet.emit(hdr.early_opts);
        packet.emit(hdr.routing);
        packet.emit(hdr.t_udp);
        packet.emit(hdr.t_wesp_marker);
        packet.emit(hdr.t_wesp);
        packet.emit(hdr.t_wesp_pad);
        packet.emit(hdr.t_esp);
        packet.emit(hdr.t_esp_low);
        packet.emit(hdr.t_eesp);
        packet.emit(hdr.t_eesp_option);
        packet.emit(hdr.t_eesp_padding);
        packet.emit(hdr.t_eesp_seq);
        packet.emit(hdr.t_psp);
        packet.emit(hdr.t_esp_iv);
        packet.emit(hdr.t_esp_long_iv);
        packet.emit(hdr.t_psp_cookie);
        packet.emit(hdr.t_tih);
        packet.emit(hdr.ahead);
        packet.emit(hdr.body);
        packet.emit(hdr.behind);
        packet.emit(hdr.fragment);
        packet.emit(hdr.late_opts);
        packet.emit(hdr.echo);
        packet.emit(hdr.echo_number);
        packet.emit(hdr.echo_return);
        packet.emit(hdr.diet_esp);
        packet.emit(hdr.diet_front);
        packet.emit(hdr.l4_udp);
        packet.emit(hdr.l4_tcp);
    }
}

@pkginfo(name="p4esp_gateway", version="2")
V1Switch(gateway_parser(), verify_checksums(), ingress(), egress(), update_checksums(),
         deparser()) main;
