// Does the inner packet match what was negotiated (RFC 4301 5.2 step 5)? One pair of selectors
// stands in the SA's own entry, its IPv6 addresses in pair_v6; an SA with several pairs asks
// in_policy. A BEET packet gets its IPv6 addresses here.
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

    @name(".in_policy_v6") @id(0x02000016)
    table in_policy_v6 {
        key = {
            meta.sa          : ternary @name("sa");
            hdr.ip6.src      : ternary @name("src");
            hdr.ip6.dst      : ternary @name("dst");
            meta.l4_protocol : ternary @name("protocol");
            meta.l4_known    : ternary @name("l4_known");
            meta.sport       : range   @name("sport");
            meta.dport       : range   @name("dport");
        }
        actions = { in_selector; @defaultonly outside_selectors; }
        const default_action = outside_selectors;
        size = SIZE_IN_POLICY;
    }

    @name(".within_v6") @id(0x01000027)
    action within_v6(bit<128> src, bit<128> src_mask, bit<128> dst, bit<128> dst_mask) {
        if (hdr.ip6.src & src_mask != src || hdr.ip6.dst & dst_mask != dst) {
            meta.drop_reason = drop_t.BAD_SELECTOR;
        }
    }

    @name(".beet_v6") @id(0x01000028)
    action beet_v6(bit<128> src, bit<128> dst) {
        hdr.ip6.src = src;
        hdr.ip6.dst = dst;
    }

    @name(".pair_v6") @id(0x02000017)
    table pair_v6 {
        key = { meta.sa : exact @name("sa"); }
        actions = { within_v6; beet_v6; @defaultonly outside_selectors; }
        const default_action = outside_selectors;
        size = SIZE_SA;
    }

    action compare_v4() {
        if (hdr.ip.src & meta.sel_src_mask != meta.sel_src
            || hdr.ip.dst & meta.sel_dst_mask != meta.sel_dst) {
            meta.drop_reason = drop_t.BAD_SELECTOR;
        }
    }

    action compare_layer4() {
        if (meta.sel_protocol != 0 && meta.l4_protocol != meta.sel_protocol) {
            meta.drop_reason = drop_t.BAD_SELECTOR;
        } else if (meta.sport < meta.sel_sport_low || meta.sport > meta.sel_sport_high
                   || meta.dport < meta.sel_dport_low || meta.dport > meta.sel_dport_high) {
            meta.drop_reason = drop_t.BAD_SELECTOR;
        } else if (meta.l4_known == 0
                   && (meta.sel_sport_low != 0 || meta.sel_sport_high != 0xFFFF
                       || meta.sel_dport_low != 0 || meta.sel_dport_high != 0xFFFF)) {
            // RFC 4301 7.2: ports of a later fragment are unknown, a port selector can't match.
            meta.drop_reason = drop_t.BAD_SELECTOR;
        }
    }

    apply {
        if (meta.sel_multi[0:0] == 1 && hdr.ip.isValid()) {
            in_policy.apply();
        } else if (meta.sel_multi[0:0] == 1) {
            in_policy_v6.apply();
        } else {
            if (hdr.ip.isValid()) {
                compare_v4();
            } else {
                pair_v6.apply();
            }
            if (meta.drop_reason == drop_t.NONE) {
                compare_layer4();
            }
        }
    }
}
