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
            CX_BAD_ICV        : engine_refused((bit<8>)drop_t.BAD_ICV);
            CX_NO_KEY         : engine_refused((bit<8>)drop_t.ENGINE_NO_KEY);
            CX_STALE_GEN      : engine_refused((bit<8>)drop_t.ENGINE_STALE);
            CX_NONCE_REFUSED  : engine_refused((bit<8>)drop_t.NONCE_REFUSED);
            CX_BAD_DESCRIPTOR : engine_refused((bit<8>)drop_t.BAD_DESCRIPTOR);
            CX_OVERLOAD       : engine_refused((bit<8>)drop_t.ENGINE_OVERLOAD);
            CX_BAD_PADLEN     : engine_refused((bit<8>)drop_t.BAD_PADLEN);
            CX_BAD_PAD        : engine_refused((bit<8>)drop_t.BAD_PAD);
            CX_BAD_INNER      : engine_refused((bit<8>)drop_t.BAD_INNER);
        }
    }

    apply {
        engine_status.apply();
    }
}
