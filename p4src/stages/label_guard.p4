// A host of our site gets what has its own label, and one without a label gets what has none. Its
// label is that of stages/label.p4, by where the packet goes and to whom. What the controller says
// is not held against it.
control label_guard_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".expect_label") @id(0x0100005B)
    action expect_label(bit<8> label) {
        if (meta.label != label) {
            meta.drop_reason = drop_t.BAD_LABEL;
        }
    }

    @name(".host_label") @id(0x0200003B)
    table host_label {
        key = {
            meta.egress_port : exact @name("port");
            meta.egress_vid  : exact @name("vid");
            hdr.ip.dst       : lpm   @name("host");
        }
        actions = { expect_label; }
        const default_action = expect_label(0);
        size = SIZE_LABEL;
    }

    @name(".host_label_v6") @id(0x0200003C)
    table host_label_v6 {
        key = {
            meta.egress_port : exact @name("port");
            meta.egress_vid  : exact @name("vid");
            hdr.ip6.dst      : lpm   @name("host");
        }
        actions = { expect_label; }
        const default_action = expect_label(0);
        size = SIZE_LABEL;
    }

    apply {
        if (meta.egress_role == role_t.PROTECTED
            && (meta.path == path_t.OPENED || meta.path == path_t.FORWARD)) {
            if (hdr.ip.isValid()) {
                host_label.apply();
            } else if (hdr.ip6.isValid()) {
                host_label_v6.apply();
            }
        }
    }
}
