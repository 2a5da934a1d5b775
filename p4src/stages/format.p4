// How is the SA's packet laid out, and in which of its sequence spaces is this one? RFC 4303 has one
// space and needs no table; what another format adds stands in formats/.
#include "../formats/subspaces.p4"
#include "../formats/spi_block.p4"
#include "../formats/trailer_in_header.p4"
#include "../formats/header_in_trailer.p4"
#include "../formats/crypt_offset.p4"
#include "../formats/wesp_v2.p4"
#include "../formats/eesp.p4"
#include "../formats/psp.p4"
#include "../formats/diet_template.p4"

control format_stage(inout headers_t hdr, inout metadata_t meta) {
    flow_bucket()         bucket;
    psp_stage()           psp;
    diet_template_stage() diet_template;

    @name(".send_as") @id(0x01000031)
    action send_as(bit<16> last_sub, bit<8> spread, bit<1> key_step, bit<8> shown,
                   bit<1> no_seq, bit<8> options_len, bit<64> iv_base) {
        meta.last_sub = last_sub;
        meta.sub_spread = (spread_t)spread;
        meta.key_step = key_step;
        meta.shown = (bit<16>)shown;
        meta.no_seq = no_seq;
        meta.options_len = options_len;
        meta.iv_base = iv_base;
    }

    @name(".read_as") @id(0x01000032)
    action read_as(bit<16> last_sub, bit<8> cell_shift, bit<1> key_step, bit<8> shown,
                   bit<1> no_seq) {
        meta.last_sub = last_sub;
        meta.cell_shift = cell_shift;
        meta.key_step = key_step;
        meta.shown = (bit<16>)shown;
        meta.no_seq = no_seq;
    }

    @name(".no_format") @id(0x01000033)
    action no_format() {
        meta.drop_reason = drop_t.STALE_SA;
    }

    @name(".format_out") @id(0x0200001C)
    table format_out {
        key = { meta.sa : exact @name("sa"); }
        actions = { send_as; @defaultonly no_format; }
        const default_action = no_format;
        size = SIZE_SA;
    }

    @name(".format_in") @id(0x0200001D)
    table format_in {
        key = { meta.sa : exact @name("sa"); }
        actions = { read_as; @defaultonly no_format; }
        const default_action = no_format;
        size = SIZE_SA;
    }

    // Trailer and AAD of RFC 4303.
    action plain() {
        meta.trailer_len = 2;
        meta.text_flags = CX_FLAG_TRAILER;
        meta.aad_len = 8;
    }

    // last_sub + 1 is a power of two where we send.
    action choose_sub(bit<16> by) {
        meta.sub = by & meta.last_sub;
    }

    action sub_of_reply() {
        meta.sub = (hdr.cx.space - (bit<24>)meta.space)[15:0];
    }

    // Each sub has a space, cells and perhaps a key of its own, one behind the other.
    action go_to_sub() {
        meta.space = meta.space + meta.sub;
        meta.cell_base = meta.cell_base + ((bit<32>)meta.sub << meta.cell_shift);
        meta.key = meta.key + (meta.key_step == 1 ? (bit<32>)meta.sub : 0);
    }

    apply {
        plain();
        if (meta.format == format_t.PLAIN) {
            // Asked first: most packets are plain.
        } else if (meta.format == format_t.DIET) {
            diet_template.apply(hdr, meta);
        } else {
            if (meta.path == path_t.SEAL || meta.path == path_t.SEALED) {
                format_out.apply();
            } else {
                format_in.apply();
            }
            if (meta.path == path_t.SEALED || meta.path == path_t.OPENED) {
                sub_of_reply();
            } else if (meta.path == path_t.SEAL && meta.of_ours == 0) {
                if (meta.sub_spread == spread_t.FLOW) {
                    bucket.apply(hdr, meta);
                    choose_sub((bit<16>)meta.bucket);
                } else if (meta.sub_spread == spread_t.PORT) {
                    choose_sub((bit<16>)meta.ingress_port);
                } else {
                    choose_sub((bit<16>)(hdr.ip.isValid() ? hdr.ip.dscp : hdr.ip6.dscp));
                }
            }
            if (meta.format == format_t.SUBSPACES) {
                DESCRIBE_SUBSPACES
            } else if (meta.format == format_t.SPI_BLOCK) {
                DESCRIBE_SPI_BLOCK
            } else if (meta.format == format_t.TRAILER_INSIDE) {
                DESCRIBE_TRAILER_INSIDE
            } else if (meta.format == format_t.TRAILER_SHOWN) {
                DESCRIBE_TRAILER_SHOWN
            } else if (meta.format == format_t.NO_TRAILER) {
                DESCRIBE_NO_TRAILER
            } else if (meta.format == format_t.HEADER_IN_TRAILER) {
                DESCRIBE_HEADER_IN_TRAILER
            } else if (meta.format == format_t.CRYPT_OFFSET) {
                DESCRIBE_CRYPT_OFFSET
            } else if (meta.format == format_t.WESP_V2) {
                DESCRIBE_WESP_V2
            } else if (meta.format == format_t.PSP) {
                psp.apply(hdr, meta);
            } else {
                DESCRIBE_EESP
            }
            if (meta.drop_reason == drop_t.NONE && meta.sub > meta.last_sub) {
                meta.drop_reason = drop_t.BAD_SUB;
            }
            go_to_sub();
        }
        if ((meta.path == path_t.SEALED || meta.path == path_t.OPENED)
            && meta.key != hdr.cx.key) {
            meta.drop_reason = drop_t.STALE_SA;
        }
    }
}
