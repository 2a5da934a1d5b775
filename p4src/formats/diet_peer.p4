// Diet-ESP, pass 1, inbound: how much of SPI and number does this peer send, and which SA is it? All
// that a peer with an entry here sends to this address of ours as ESP is compressed.
#ifndef P4ESP_FORMAT_DIET_PEER
#define P4ESP_FORMAT_DIET_PEER

#include "diet_esp.p4"

control diet_peer_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".diet_peer") @id(0x01000049)
    action diet_peer(bit<16> peer, bit<8> spi_octets, bit<8> sn_octets) {
        meta.diet_peer = peer;
        meta.spi_octets = spi_octets;
        meta.sn_octets = sn_octets;
    }

    @name(".no_diet_peer") @id(0x0100004A)
    action no_diet_peer() {}

    @name(".diet_peer_v4") @id(0x02000028)
    table diet_peer_v4 {
        key = {
            meta.local_id : exact @name("local_id");
            hdr.ip.src    : exact @name("src");
        }
        actions = { diet_peer; @defaultonly no_diet_peer; }
        const default_action = no_diet_peer;
        size = SIZE_DIET_PEER;
    }

    @name(".diet_peer_v6") @id(0x02000029)
    table diet_peer_v6 {
        key = {
            meta.local_id : exact @name("local_id");
            hdr.ip6.src   : exact @name("src");
        }
        actions = { diet_peer; @defaultonly no_diet_peer; }
        const default_action = no_diet_peer;
        size = SIZE_DIET_PEER;
    }

    apply {
        if (hdr.ip.isValid()) {
            diet_peer_v4.apply();
        } else {
            diet_peer_v6.apply();
        }
    }
}

control diet_sad_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<64> front;           // the first 8 octets of ESP as they stand
    bit<32> low_spi;

    @name(".open_diet") @id(0x0100004B)
    action open_diet(bit<16> sa, bit<8> generation, bit<32> spi) {
        meta.sa = sa;
        meta.generation = generation;
        meta.spi = spi;
    }

    @name(".no_diet_sa") @id(0x0100004C)
    action no_diet_sa() {
        meta.drop_reason = drop_t.NO_SA;
    }

    // By the low octets of the SPI, which one peer's SAs do not share.
    @name(".diet_sad") @id(0x0200002A)
    table diet_sad {
        key = {
            meta.diet_peer : exact @name("peer");
            low_spi        : exact @name("spi");
        }
        actions = { open_diet; @defaultonly no_diet_sa; }
        const default_action = no_diet_sa;
        size = SIZE_SAD;
    }

    // From here on the lengths are those of a packet with a whole header.
    action take_front() {
        front = meta.spi ++ meta.seq_lo;
        low_spi = (front >> (64 - (meta.spi_octets << 3)))[31:0];
        meta.sn_mask = DIET_SN_MASK;
        front = (front >> (64 - (DIET_ESP_LEN << 3))) & meta.sn_mask;
        meta.seq_lo = front[31:0];
        meta.whole_seq = meta.sn_octets == 4 ? 1w0 : 1;
        meta.esp_len = meta.esp_len + 8 - (bit<16>)DIET_ESP_LEN;
    }

    apply {
        take_front();
        diet_sad.apply();
        if (meta.drop_reason == drop_t.NONE) {
            if (meta.cut == 0) {
                meta.cut = DIET_ESP_LEN;
                meta.path = path_t.CUT;
            } else if (meta.cut != DIET_ESP_LEN) {
                // The entry has changed in between.
                meta.drop_reason = drop_t.STALE_SA;
            }
        }
    }
}

#endif
