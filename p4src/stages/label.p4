// Which security label has the packet (RFC 9478)? One from our site has its host's, by where it came
// in and who sends it; one that came out of an SA has the SA's. All others have none.
control label_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".set_label") @id(0x01000059)
    action set_label(bit<8> label) {
        meta.label = label;
    }

    @name(".no_label") @id(0x0100005A)
    action no_label() {}

    @name(".source_label") @id(0x02000038)
    table source_label {
        key = {
            meta.ingress_port : exact @name("port");
            meta.vid          : exact @name("vid");
            hdr.ip.src        : lpm   @name("host");
        }
        actions = { set_label; @defaultonly no_label; }
        const default_action = no_label;
        size = SIZE_LABEL;
    }

    @name(".source_label_v6") @id(0x02000039)
    table source_label_v6 {
        key = {
            meta.ingress_port : exact @name("port");
            meta.vid          : exact @name("vid");
            hdr.ip6.src       : lpm   @name("host");
        }
        actions = { set_label; @defaultonly no_label; }
        const default_action = no_label;
        size = SIZE_LABEL;
    }

    @name(".sa_label") @id(0x0200003A)
    table sa_label {
        key = { meta.sa : exact @name("sa"); }
        actions = { set_label; @defaultonly no_label; }
        const default_action = no_label;
        size = SIZE_SA;
    }

    apply {
        if (meta.path == path_t.OPENED) {
            sa_label.apply();
        } else if (meta.path == path_t.PLAIN && meta.role == role_t.PROTECTED) {
            if (hdr.ip.isValid()) {
                source_label.apply();
            } else if (hdr.ip6.isValid()) {
                source_label_v6.apply();
            }
        }
    }
}
