// Which SA serves this policy for this destination? None: the controller acquires one.
control sa_select_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".use_sa") @id(0x0100000B)
    action use_sa(bit<16> sa) {
        meta.sa = sa;
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
        actions = { use_sa; @defaultonly acquire; }
        const default_action = acquire;
        size = SIZE_SA_SELECT;
    }

    apply {
        sa_select.apply();
    }
}
