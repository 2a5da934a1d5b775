// Diet-ESP, all passes: the SA's template and what it knows of the inner headers. On the way out, does
// the packet fit it? One that does not is dropped: compressed it would come out as another.
#ifndef P4ESP_FORMAT_DIET_TEMPLATE
#define P4ESP_FORMAT_DIET_TEMPLATE

#include "diet_esp.p4"

control diet_template_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8> wanted;           // the cut that the template needs
    bool   fits;

    @name(".diet_v4") @id(0x0100004D)
    action diet_v4(bit<8> template, bit<1> trailer, bit<8> spi_octets, bit<8> sn_octets,
                   bit<32> src, bit<32> dst, bit<16> sport, bit<16> dport) {
        meta.diet = (diet_t)template;
        meta.diet_trailer = trailer;
        meta.spi_octets = spi_octets;
        meta.sn_octets = sn_octets;
        meta.diet_src = src;
        meta.diet_dst = dst;
        meta.diet_sport = sport;
        meta.diet_dport = dport;
    }

    @name(".diet_v6") @id(0x0100004E)
    action diet_v6(bit<8> template, bit<1> trailer, bit<8> spi_octets, bit<8> sn_octets,
                   bit<128> src, bit<128> dst, bit<16> sport, bit<16> dport) {
        meta.diet = (diet_t)template;
        meta.diet_trailer = trailer;
        meta.spi_octets = spi_octets;
        meta.sn_octets = sn_octets;
        meta.diet_src6 = src;
        meta.diet_dst6 = dst;
        meta.diet_sport = sport;
        meta.diet_dport = dport;
    }

    @name(".no_template") @id(0x0100004F)
    action no_template() {
        meta.drop_reason = drop_t.STALE_SA;
    }

    @name(".diet_out") @id(0x0200002B)
    table diet_out {
        key = { meta.sa : exact @name("sa"); }
        actions = { diet_v4; diet_v6; @defaultonly no_template; }
        const default_action = no_template;
        size = SIZE_SA;
    }

    @name(".diet_in") @id(0x0200002C)
    table diet_in {
        key = { meta.sa : exact @name("sa"); }
        actions = { diet_v4; diet_v6; @defaultonly no_template; }
        const default_action = no_template;
        size = SIZE_SA;
    }

    action describe() {
        meta.trailer_len = meta.diet_trailer == 1 ? 16w2 : 0;
        meta.text_flags = meta.diet_trailer == 1 ? CX_FLAG_TRAILER : 0;
        meta.text_more = DIET_RESIDUE_LEN - DIET_HEADERS_LEN;
    }

    action compare_v4() {
        fits = hdr.ip.isValid() && hdr.ip.ihl == 5 && hdr.ip.version == 4
            && (meta.diet == diet_t.SITE_V4
                ? hdr.ip.src[31:8] == meta.diet_src[31:8] && hdr.ip.dst[31:8] == meta.diet_dst[31:8]
                : hdr.ip.src == meta.diet_src && hdr.ip.dst == meta.diet_dst);
    }

    action compare_v6() {
        fits = hdr.ip6.isValid()
            && (meta.diet == diet_t.SITE_V6
                ? hdr.ip6.src[127:64] == meta.diet_src6[127:64]
                  && hdr.ip6.dst[127:64] == meta.diet_dst6[127:64]
                : hdr.ip6.src == meta.diet_src6 && hdr.ip6.dst == meta.diet_dst6);
    }

    // A UDP length of its own would be lost.
    action compare_layer4() {
        fits = fits && meta.sport == meta.diet_sport && meta.dport == meta.diet_dport
            && meta.l4_offset == (DIET_V6 ? 16w40 : 20)
            && (hdr.ip6.isValid() || hdr.ip.mf == 0 && hdr.ip.frag_offset == 0)
            && (DIET_TCP ? meta.l4_protocol == PROTO_TCP && meta.ip_len - meta.l4_offset >= 20
                : meta.l4_protocol == PROTO_UDP && meta.udp_len == meta.ip_len - meta.l4_offset);
    }

    apply {
        if (meta.path == path_t.SEAL || meta.path == path_t.SEALED) {
            diet_out.apply();
        } else {
            diet_in.apply();
        }
        describe();
        if (meta.path == path_t.OPENED && hdr.cx.space[23:16] != (bit<8>)meta.diet) {
            meta.drop_reason = drop_t.STALE_SA;
        } else if (meta.path == path_t.SEAL && meta.drop_reason == drop_t.NONE) {
            if (DIET_V6) {
                compare_v6();
            } else {
                compare_v4();
            }
            wanted = 0;
            if (DIET_FLOW) {
                compare_layer4();
                wanted = DIET_TCP ? CUT_TCP : CUT_UDP;
            }
            if (meta.of_ours == 1) {
                meta.drop_reason = drop_t.NOT_IN_SA;
            } else if (!fits) {
                meta.drop_reason = drop_t.BAD_TEMPLATE;
            } else if (meta.cut == 0 && wanted != 0) {
                meta.cut = wanted;
                meta.cut_ip_len = meta.ip_len;
                meta.path = path_t.CUT;
            } else if (meta.cut != wanted) {
                meta.drop_reason = drop_t.STALE_SA;
            }
        }
    }
}

#endif
