// The SPD (RFC 4301 4.4.1): ordered rules over the clear packet, discard by default. A rule
// belongs to one policy version; one write of the version's default action switches all.
control policy_stage(inout headers_t hdr, inout metadata_t meta) {
    bool from_host;

    @name(".set_policy_version") @id(0x01000007)
    action set_policy_version(bit<8> version) {
        meta.policy_version = version;
    }

    @name(".policy_version") @id(0x02000004)
    table policy_version {
        actions = { set_policy_version; }
        default_action = set_policy_version(0);
    }

    @name(".protect") @id(0x01000008)
    action protect(bit<16> policy) {
        meta.policy = policy;
        meta.path = path_t.SEAL;
    }

    @name(".bypass") @id(0x01000009)
    action bypass() {
        meta.path = path_t.FORWARD;
        meta.cleared = 1;
    }

    @name(".discard") @id(0x0100000A)
    action discard() {
        meta.drop_reason = drop_t.POLICY_DISCARD;
    }

    // RFC 4301 7.4: a later fragment of a packet that a rule with ports may be about. The rules
    // below would judge it without knowing.
    @name(".discard_unseen") @id(0x01000030)
    action discard_unseen() {
        meta.drop_reason = drop_t.UNSEEN_PORTS;
    }

    @name(".spd") @id(0x02000005)
    table spd {
        key = {
            meta.policy_version : ternary @name("version");
            meta.role           : ternary @name("role");
            hdr.ip.src          : ternary @name("src");
            hdr.ip.dst          : ternary @name("dst");
            hdr.ip.protocol     : ternary @name("protocol");
            meta.l4_known       : ternary @name("l4_known");
            meta.sport          : range   @name("sport");
            meta.dport          : range   @name("dport");
            meta.label          : ternary @name("label");
        }
        actions = { protect; bypass; discard; discard_unseen; }
        const default_action = discard;
        size = SIZE_SPD;
    }

    @name(".spd_v6") @id(0x02000012)
    table spd_v6 {
        key = {
            meta.policy_version : ternary @name("version");
            meta.role           : ternary @name("role");
            hdr.ip6.src         : ternary @name("src");
            hdr.ip6.dst         : ternary @name("dst");
            meta.l4_protocol    : ternary @name("protocol");
            meta.l4_known       : ternary @name("l4_known");
            meta.sport          : range   @name("sport");
            meta.dport          : range   @name("dport");
            meta.label          : ternary @name("label");
        }
        actions = { protect; bypass; discard; discard_unseen; }
        const default_action = discard;
        size = SIZE_SPD;
    }

    // A packet of the controller may go to our site in any case, and to the unprotected side
    // (egress_guard) only if policy bypasses it.
    action stay_host() {
        meta.path = path_t.HOST;
        meta.drop_reason = drop_t.NONE;
    }

    action to_controller() {
        meta.path = path_t.PUNT;
        meta.punt = punt_t.LOCAL;
    }

    apply {
        from_host = meta.path == path_t.HOST;
        policy_version.apply();
        if (hdr.ip.isValid()) {
            spd.apply();
        } else {
            spd_v6.apply();
        }
        if (from_host) {
            stay_host();
        } else if (meta.path == path_t.SEAL && meta.role != role_t.PROTECTED) {
            // RFC 4301 5.2: clear, though policy wants it protected.
            meta.drop_reason = drop_t.CLEAR_IN;
        } else if (meta.path == path_t.FORWARD && meta.local == 1 && meta.proxied == 0) {
            to_controller();
        }
    }
}
