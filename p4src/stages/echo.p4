// ESP ping: a request that is addressed to us goes back, without any SA and without an engine, where the
// operator has said so. A reply is no longer than its request, and is never answered itself.
control echo_stage(inout headers_t hdr, inout metadata_t meta) {
    echo_limit() limit;

    bit<16> payload_len;
    bit<16> needed;          // octets behind layer 3
    bit<32> ours;
    bit<128> ours6;

    @name(".answer_echo") @id(0x01000034)
    action answer_echo() {}

    @name(".no_echo") @id(0x01000035)
    action no_echo() {
        meta.drop_reason = drop_t.NO_ECHO;
    }

    @name(".echo") @id(0x0200001E)
    table echo {
        key = { meta.local_id : exact @name("local_id"); }
        actions = { answer_echo; @defaultonly no_echo; }
        const default_action = no_echo;
        size = SIZE_LOCAL_V4;
    }

    action turn_v4() {
        ours = hdr.ip.dst;
        hdr.ip.dst = hdr.ip.src;
        hdr.ip.src = ours;
        hdr.ip.ttl = 64;
        hdr.ip.total_len = meta.ip_len;
        meta.ip_changed = 1;
    }

    action turn_v6() {
        ours6 = hdr.ip6.dst;
        hdr.ip6.dst = hdr.ip6.src;
        hdr.ip6.src = ours6;
        hdr.ip6.hop_limit = 64;
        hdr.ip6.payload_len = meta.ip_len - 40;
    }

    // Four octets that ask for a way back stay behind.
    action turn() {
        hdr.echo.spi = SPI_ECHO_REPLY;
        if (hdr.echo_number.isValid()) {
            hdr.echo.kind = 3;
            hdr.echo.flags = 0;
        }
        if (hdr.echo_return.isValid()) {
            meta.ip_len = meta.ip_len - 4;
            hdr.echo_return.setInvalid();
        }
        meta.path = path_t.HOST;
        meta.cleared = 1;
    }

    apply {
        payload_len = meta.ip_len - meta.l4_offset;
        needed = hdr.echo.len + (hdr.echo_return.isValid() ? 16w20 : 16);
        echo.apply();
        if (meta.drop_reason == drop_t.NONE) {
            if (hdr.ip_opt.isValid() || hdr.ip6.isValid() && meta.l4_offset != 40
                || hdr.echo_number.isValid() && (needed > payload_len || hdr.echo.len > 0x3FFF)
                || !hdr.echo_number.isValid()
                   && (payload_len != 12 || hdr.echo.kind != 1 || hdr.echo.flags != 2
                       || hdr.echo.len != 0x023B)) {
                meta.drop_reason = drop_t.BAD_ECHO;
            } else {
                limit.apply(hdr, meta);
            }
        }
        if (meta.drop_reason == drop_t.NONE) {
            turn();
            if (hdr.ip.isValid()) {
                turn_v4();
            } else {
                turn_v6();
            }
        }
    }
}
