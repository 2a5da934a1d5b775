// Is there an engine? The controller withdraws the entry of one that fails its health check,
// and packets are dropped and counted instead of queued.
control crypto_port_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".to_engine") @id(0x01000013)
    action to_engine() {
        meta.egress_port = CRYPTO_PORT;
    }

    @name(".no_engine") @id(0x01000014)
    action no_engine() {
        meta.drop_reason = drop_t.NO_ENGINE;
    }

    @name(".crypto_port") @id(0x0200000A)
    table crypto_port {
        key = { meta.path : exact @name("path"); }
        actions = { to_engine; @defaultonly no_engine; }
        const default_action = no_engine;
        size = 2;
    }

    apply {
        crypto_port.apply();
    }
}
