// Pass 2, outbound: only the very ESP packet that pass 1 asked for may leave. Whatever else the
// engine hands back as sealed is clear to us, and egress_guard holds it. An SA in transport mode
// has the two hosts' addresses where a tunnel has its ends.
#include "esp_family.p4"
#include "../formats/header_in_trailer.p4"
#include "../formats/diet_compress.p4"

control sealed_stage(inout headers_t hdr, inout metadata_t meta) {
    header_behind_stage() header_behind;
    diet_header_stage()   diet_header;

    bit<8>  protocol;
    bit<8>  next;
    bit<16> text_len;        // up to the ICV
    bool    asked_for;
    bool    chained;         // extension headers of the packet itself stand in front of ESP

    apply {
        next = hdr.outer_ip6.next_header;
        chained = meta.mode == mode_t.TRANSPORT && hdr.outer_rest.isValid()
            && (next == PROTO_HOPOPT || next == PROTO_DSTOPTS || next == PROTO_ROUTING);
        protocol = ESP_FAMILY_PROTOCOL;
        if (meta.format == format_t.PLAIN) {
            asked_for = hdr.esp.isValid() && hdr.esp.spi == meta.spi
                && hdr.esp.seq == meta.seq[31:0];
        } else if (meta.format == format_t.SUBSPACES) {
            asked_for = hdr.esp_low.isValid() && hdr.esp.spi == meta.spi
                && hdr.esp.seq ++ hdr.esp_low.seq_low == meta.sub ++ meta.seq[47:0];
        } else if (meta.format == format_t.HEADER_IN_TRAILER) {
            // The trailer goes where the descriptor says that the ICV begins.
            text_len = meta.frame_len - 46 - (meta.outer_v6 == 1 ? 16w56 : 36)
                - (bit<16>)meta.icv_len;
            asked_for = hdr.body.isValid() && hdr.front.spi == meta.spi
                && hdr.front.seq == meta.seq
                && hdr.cx.plain_len + (bit<16>)hdr.cx.pad_len == text_len;
        } else if (EESP) {
            asked_for = hdr.eesp.isValid() && hdr.eesp.spi == meta.spi
                && hdr.eesp.session == meta.sub
                && (meta.no_seq == 1 || hdr.eesp_seq.isValid() && hdr.eesp_seq.seq == meta.seq);
        } else if (meta.format == format_t.PSP) {
            asked_for = hdr.psp.isValid() && hdr.psp.spi == meta.spi
                && hdr.esp_iv.iv[31:0] == meta.seq[31:0];
        } else {
            asked_for = hdr.esp.isValid() && hdr.esp.spi == meta.spi
                && hdr.esp.seq == meta.seq[31:0];
        }
        if (asked_for) {
            if (meta.outer_v6 == 0 && hdr.outer_ip.isValid()
                && hdr.outer_ip.protocol == protocol
                && (hdr.outer_ip.ihl == 5 || meta.mode == mode_t.TRANSPORT)
                && hdr.outer_ip.src == meta.tunnel_src && hdr.outer_ip.dst == meta.tunnel_dst) {
                meta.cleared = 1;
            } else if (meta.outer_v6 == 1 && hdr.outer_ip6.isValid()
                       && (next == protocol || chained)
                       && hdr.outer_ip6.src == meta.tunnel_src6
                       && hdr.outer_ip6.dst == meta.tunnel_dst6) {
                meta.cleared = 1;
            }
        }
        if (meta.format != format_t.PLAIN) {
            if (meta.format == format_t.HEADER_IN_TRAILER) {
                header_behind.apply(hdr, meta);
            } else if (meta.format == format_t.DIET) {
                diet_header.apply(hdr, meta);
            }
        }
    }
}
