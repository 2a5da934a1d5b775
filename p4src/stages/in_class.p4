// Pass 2, inbound: has the packet the DSCP of its SA's class? One that has not is counted and passes:
// code points may change on the way.
control in_class_stage(inout headers_t hdr, inout metadata_t meta) {
    class_accounting() accounting;

    bit<6> dscp;

    @name(".of_class") @id(0x01000051)
    action of_class() {}

    @name(".of_another_class") @id(0x01000052)
    action of_another_class() {}

    @name(".in_class") @id(0x0200002D)
    table in_class {
        key = {
            meta.sa : exact @name("sa");
            dscp    : exact @name("dscp");
        }
        actions = { of_class; @defaultonly of_another_class; }
        const default_action = of_another_class;
        size = SIZE_IN_CLASS;
    }

    apply {
        dscp = hdr.ip.isValid() ? hdr.ip.dscp : hdr.ip6.dscp;
        if (!in_class.apply().hit) {
            accounting.apply(hdr, meta);
        }
    }
}
