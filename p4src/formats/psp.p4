// PSP (google/psp), in UDP to port 1000: everything but the ICV stands in front, nothing is padded, and
// there is no sequence number but the IV. The receiver derives the key of an SPI from a master key, so
// that all its SAs have one key handle; the SAD tells whose an SPI is.
//
//    next header, ext. length, offset, flags | SPI | IV (64) | [cookie (64)] [payload] in clear |
//    encrypted: the rest | ICV
//
// The offset counts from the IV on, the virtualization cookie included, which the sender writes and the
// receiver compares behind the engine. `shown` is the most that an SA shows, and what our packets show;
// each packet says it by itself. An SA with a window takes the IV for a number of 37 bits. What is
// marked to be dropped is opened, compared and then dropped; that a packet is a sample says nothing.
#ifndef P4ESP_FORMAT_PSP
#define P4ESP_FORMAT_PSP

const bit<16> PSP_COOKIE_LEN = 8;
// The first of 256 source ports by which our packets tell flows apart (RFC 6335 6: dynamic).
const bit<16> PSP_PORTS = 0xC000;

control psp_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<32> own_spi;

    @name(".send_psp") @id(0x01000040)
    action send_psp(bit<8> version, bit<1> with_cookie, bit<64> cookie) {
        meta.psp_version = version;
        meta.cookie_len = with_cookie == 1 ? PSP_COOKIE_LEN : 0;
        meta.cookie = cookie;
    }

    // The SPI tells SAs apart where handle and generation, which are those of the master keys, do not.
    @name(".read_psp") @id(0x01000041)
    action read_psp(bit<32> spi, bit<8> version, bit<1> with_cookie, bit<64> cookie) {
        own_spi = spi;
        meta.psp_version = version;
        meta.cookie_len = with_cookie == 1 ? PSP_COOKIE_LEN : 0;
        meta.cookie = cookie;
    }

    @name(".no_psp") @id(0x01000042)
    action no_psp() {
        meta.drop_reason = drop_t.STALE_SA;
    }

    @name(".psp_out") @id(0x02000020)
    table psp_out {
        key = { meta.sa : exact @name("sa"); }
        actions = { send_psp; @defaultonly no_psp; }
        const default_action = no_psp;
        size = SIZE_SA;
    }

    @name(".psp_in") @id(0x02000021)
    table psp_in {
        key = { meta.sa : exact @name("sa"); }
        actions = { read_psp; @defaultonly no_psp; }
        const default_action = no_psp;
        size = SIZE_SA;
    }

    // In `shown` the packet's own offset replaces the SA's.
    action take_offset(bit<6> offset) {
        meta.most_shown = meta.shown;
        meta.shown = (bit<16>)offset << 2;
    }

    action number_by_iv() {
        meta.whole_seq = 1;
        meta.seq = meta.eesp_seq;
    }

    action describe() {
        meta.trailer_len = 0;
        meta.align = 1;
        meta.esn = 0;
        meta.extra_len = meta.shown;
        meta.text_more = meta.cookie_len - meta.shown;
        meta.text_flags = CX_FLAG_SHOWN;
        meta.udp_encap = 1;
        meta.udp_dport = UDP_PSP;
    }

    action check_packet() {
        if (meta.psp[0:0] == 0 || meta.psp[15:14] != 0
            || (bit<8>)meta.psp[5:2] != meta.psp_version
            || meta.psp[23:16] != (meta.cookie_len != 0 ? 8w2 : 1)
            || meta.psp[1:1] != (meta.cookie_len != 0 ? 1w1 : 0)) {
            meta.drop_reason = drop_t.BAD_PSP;
        } else if (meta.shown > meta.most_shown) {
            meta.drop_reason = drop_t.BAD_OFFSET;
        } else if (meta.esp_len < 8 + (bit<16>)meta.iv_len + meta.cookie_len
                                  + (bit<16>)meta.icv_len) {
            meta.drop_reason = drop_t.BAD_LENGTH;
        }
    }

    apply {
        if (meta.path == path_t.SEAL || meta.path == path_t.SEALED) {
            psp_out.apply();
            if (meta.udp_sport == 0) {
                meta.udp_sport = PSP_PORTS | (bit<16>)meta.bucket;
            }
            if (meta.of_ours == 1 || meta.tfc_len != 0) {
                meta.drop_reason = drop_t.NOT_IN_SA;
            }
        } else {
            psp_in.apply();
            if (meta.path == path_t.OPEN) {
                take_offset(meta.psp[13:8]);
                number_by_iv();
                if (meta.drop_reason == drop_t.NONE && meta.spi != own_spi) {
                    meta.drop_reason = drop_t.STALE_SA;
                }
                if (meta.drop_reason == drop_t.NONE) {
                    check_packet();
                }
            } else if (meta.drop_reason == drop_t.NONE && hdr.psp.isValid()
                       && hdr.psp.spi != own_spi) {
                meta.drop_reason = drop_t.STALE_SA;
            } else if (hdr.psp.isValid() && hdr.psp.next_header == hdr.cx.next_header
                       && hdr.psp_cookie.isValid() == (meta.cookie_len != 0)) {
                take_offset(hdr.psp.offset);
            } else if (hdr.cx.status == CX_DONE) {
                meta.drop_reason = drop_t.FORGED_CX;
            }
        }
        // There is no BEET in PSP.
        if (meta.mode == mode_t.BEET_V4 || meta.mode == mode_t.BEET_V6) {
            meta.drop_reason = drop_t.NOT_IN_SA;
        }
        describe();
    }
}

// Pass 2, inbound: is it of this virtual network, and meant for anybody?
control psp_receipt_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.psp_cookie.isValid() && hdr.psp_cookie.cookie != meta.cookie) {
            meta.drop_reason = drop_t.BAD_COOKIE;
        } else if (hdr.psp.drop == 1) {
            meta.drop_reason = drop_t.DUMMY;
        } else if (hdr.psp.next_header == PROTO_AGGFRAG) {
            // Pings inside an SA are ESP's.
            meta.drop_reason = drop_t.BAD_NH;
        }
    }
}

// The engine is given half of the count: the IV is in the packet.
#define BUILD_PSP(psp, esp_iv, psp_cookie) \
    (psp).setValid(); \
    (psp).next_header = meta.inner_protocol; \
    (psp).ext_len = meta.cookie_len != 0 ? 8w2 : 1; \
    (psp).reserved = 0; \
    (psp).offset = meta.shown[7:2]; \
    (psp).sample = 0; \
    (psp).drop = 0; \
    (psp).version = meta.psp_version[3:0]; \
    (psp).cookie = meta.cookie_len != 0 ? 1w1 : 0; \
    (psp).fixed = 1; \
    (psp).spi = meta.spi; \
    (esp_iv).setValid(); \
    (esp_iv).iv = meta.seq; \
    if (meta.cookie_len != 0) { \
        (psp_cookie).setValid(); \
        (psp_cookie).cookie = meta.cookie; \
    } \
    meta.seq = 32w0 ++ meta.seq[31:0];

#endif
