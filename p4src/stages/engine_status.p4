// What the engine says went wrong, as a drop reason. Codes with CX_AUTHENTIC set are of packets
// whose sequence number is consumed all the same.
control engine_status_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".engine_refused") @id(0x01000015)
    action engine_refused(bit<8> reason) {
        meta.drop_reason = (drop_t)reason;
    }

    @name(".engine_error") @id(0x01000016)
    action engine_error() {
        meta.drop_reason = drop_t.ENGINE_ERROR;
    }

    @name(".engine_status") @id(0x0200000B)
    table engine_status {
        key = { hdr.cx.status : exact @name("status"); }
        actions = { engine_refused; @defaultonly engine_error; }
        const default_action = engine_error;
        const entries = {
            0x01 : engine_refused(12);   // BAD_ICV
            0x02 : engine_refused(26);   // NO_KEY -> ENGINE_NO_KEY
            0x03 : engine_refused(27);   // STALE_GEN -> ENGINE_STALE
            0x04 : engine_refused(28);   // NONCE_REFUSED
            0x05 : engine_refused(29);   // BAD_DESCRIPTOR
            0x06 : engine_refused(30);   // OVERLOAD -> ENGINE_OVERLOAD
            0x41 : engine_refused(14);   // BAD_PADLEN
            0x42 : engine_refused(15);   // BAD_PAD
            0x43 : engine_refused(18);   // BAD_INNER
        }
    }

    apply {
        engine_status.apply();
    }
}
