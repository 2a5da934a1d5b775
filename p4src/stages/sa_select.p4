// Which SA, or set of SAs, serves this policy for this destination? None: the controller
// acquires one.
control sa_select_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".use_sa") @id(0x0100000B)
    action use_sa(bit<16> sa) {
        meta.sa = sa;
    }

    // RFC 9611: the SA that serves whatever no member of the set serves.
    @name(".use_set") @id(0x01000022)
    action use_set(bit<16> set, bit<8> spread, bit<16> fallback) {
        meta.sa = fallback;
        meta.sa_set = set;
        meta.spread = (spread_t)spread;
    }

    @name(".acquire") @id(0x0100000C)
    action acquire() {
        meta.drop_reason = drop_t.ACQUIRE;
        meta.punt = punt_t.ACQUIRE;
    }

    @name(".sa_select") @id(0x02000006)
    table sa_select {
        key = {
            meta.policy : exact @name("policy");
            hdr.ip.dst  : lpm   @name("dst");
        }
        actions = { use_sa; use_set; @defaultonly acquire; }
        const default_action = acquire;
        size = SIZE_SA_SELECT;
    }

    @name(".sa_select_v6") @id(0x02000013)
    table sa_select_v6 {
        key = {
            meta.policy : exact @name("policy");
            hdr.ip6.dst : lpm   @name("dst");
        }
        actions = { use_sa; use_set; @defaultonly acquire; }
        const default_action = acquire;
        size = SIZE_SA_SELECT;
    }

    apply {
        if (hdr.ip.isValid()) {
            sa_select.apply();
        } else {
            sa_select_v6.apply();
        }
    }
}
