// ESP to us in fragments is not put together (RFC 4303 3.4.1 wants whole packets). Where the peers want
// to know how large packets arrive whole, the controller sees first fragments: their size says it, and
// they show the SPI. They are dropped all the same.
control fragment_stage(inout headers_t hdr, inout metadata_t meta) {
    bool first;

    @name(".tell_fragments") @id(0x01000078)
    action tell_fragments() {
        meta.punt = punt_t.FRAGMENT;
    }

    @name(".no_fragments") @id(0x01000079)
    action no_fragments() {}

    @name(".fragment") @id(0x02000048)
    table fragment {
        key = { meta.local_id : exact @name("local_id"); }
        actions = { tell_fragments; @defaultonly no_fragments; }
        const default_action = no_fragments;
        size = SIZE_LOCAL_V4;
    }

    apply {
        first = hdr.ip.isValid()
            ? hdr.ip.mf == 1 && hdr.ip.frag_offset == 0
            : hdr.fragment.isValid() && hdr.fragment.more == 1 && hdr.fragment.offset == 0;
        if (first && (meta.l4_protocol == PROTO_ESP
                      || meta.l4_protocol == PROTO_UDP && meta.dport == UDP_IKE_NAT_T)) {
            fragment.apply();
        }
    }
}
