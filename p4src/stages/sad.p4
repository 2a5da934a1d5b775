// The SAD (RFC 4301 4.4.2): destination, protocol and SPI name one inbound SA. Plain and
// UDP-encapsulated ESP are the same protocol (RFC 7296 2.23). SPIs that follow each other may be
// sub-SAs of one SA.
#include "../formats/diet_peer.p4"

control sad_stage(inout headers_t hdr, inout metadata_t meta) {
    diet_peer_stage() diet_peer;
    diet_sad_stage()  diet_sad;

    @name(".open_by") @id(0x0100000F)
    action open_by(bit<16> sa, bit<8> generation, bit<16> sub) {
        meta.sa = sa;
        meta.generation = generation;
        meta.sub = sub;
    }

    @name(".no_sa") @id(0x01000010)
    action no_sa() {
        meta.drop_reason = drop_t.NO_SA;
    }

    @name(".sad") @id(0x02000008)
    table sad {
        key = {
            meta.local_id : exact @name("local_id");
            meta.protocol : exact @name("protocol");
            meta.spi      : exact @name("spi");
        }
        actions = { open_by; @defaultonly no_sa; }
        const default_action = no_sa;
        size = SIZE_SAD;
    }

    apply {
        if (meta.diet_local == 1 && meta.l4 == l4_t.ESP) {
            diet_peer.apply(hdr, meta);
        }
        if (meta.spi_octets != 0) {
            diet_sad.apply(hdr, meta);
        } else if (meta.spi & 0xFFFFFF00 == 0) {
            meta.drop_reason = drop_t.BAD_SPI;
        } else {
            meta.protocol = meta.l4 == l4_t.ESP ? PROTO_ESP
                : (meta.l4 == l4_t.TAIL ? PROTO_TAIL
                   : (meta.l4 == l4_t.EESP ? PROTO_EESP
                      : (meta.l4 == l4_t.PSP ? PROTO_PSP : PROTO_ESP)));
            sad.apply();
        }
    }
}
