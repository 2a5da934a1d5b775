// Does the inner packet match what was negotiated (RFC 4301 5.2 step 5)? One pair of selectors
// stands in the SA's own entry; an SA with several asks in_policy.
control selectors_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".in_selector") @id(0x01000017)
    action in_selector() {}

    @name(".outside_selectors") @id(0x01000018)
    action outside_selectors() {
        meta.drop_reason = drop_t.BAD_SELECTOR;
    }

    @name(".in_policy") @id(0x0200000C)
    table in_policy {
        key = {
            meta.sa         : ternary @name("sa");
            hdr.ip.src      : ternary @name("src");
            hdr.ip.dst      : ternary @name("dst");
            hdr.ip.protocol : ternary @name("protocol");
            meta.l4_known   : ternary @name("l4_known");
            meta.sport      : range   @name("sport");
            meta.dport      : range   @name("dport");
        }
        actions = { in_selector; @defaultonly outside_selectors; }
        const default_action = outside_selectors;
        size = SIZE_IN_POLICY;
    }

    apply {
        if (meta.sel_multi == 1) {
            in_policy.apply();
        } else if (hdr.ip.src & meta.sel_src_mask != meta.sel_src
                   || hdr.ip.dst & meta.sel_dst_mask != meta.sel_dst) {
            outside_selectors();
        } else if (meta.sel_protocol != 0 && hdr.ip.protocol != meta.sel_protocol) {
            outside_selectors();
        } else if (meta.sport < meta.sel_sport_low || meta.sport > meta.sel_sport_high
                   || meta.dport < meta.sel_dport_low || meta.dport > meta.sel_dport_high) {
            outside_selectors();
        } else if (meta.l4_known == 0
                   && (meta.sel_sport_low != 0 || meta.sel_sport_high != 0xFFFF
                       || meta.sel_dport_low != 0 || meta.sel_dport_high != 0xFFFF)) {
            // RFC 4301 7.2: ports of a later fragment are unknown, a port selector can't match.
            outside_selectors();
        }
    }
}
