// Longest prefix, next hop, and the interface behind it, of the outermost header.
control route_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".via") @id(0x01000019)
    action via(bit<32> next_hop) {
        meta.next_hop = next_hop;
    }

    // The destination itself is the next hop.
    @name(".on_link") @id(0x0100001A)
    action on_link() {
        meta.next_hop = meta.route_dst;
    }

    @name(".no_route") @id(0x0100001B)
    action no_route() {
        meta.drop_reason = drop_t.NO_ROUTE;
    }

    @name(".route_v4") @id(0x0200000D)
    table route_v4 {
        key = { meta.route_dst : lpm @name("dst"); }
        actions = { via; on_link; @defaultonly no_route; }
        const default_action = no_route;
        size = SIZE_ROUTE_V4;
    }

    @name(".via_v6") @id(0x0100002E)
    action via_v6(bit<128> next_hop) {
        meta.next_hop6 = next_hop;
    }

    @name(".on_link_v6") @id(0x0100002F)
    action on_link_v6() {
        meta.next_hop6 = meta.route_dst6;
    }

    @name(".route_v6") @id(0x0200001A)
    table route_v6 {
        key = { meta.route_dst6 : lpm @name("dst"); }
        actions = { via_v6; on_link_v6; @defaultonly no_route; }
        const default_action = no_route;
        size = SIZE_ROUTE_V6;
    }

    @name(".deliver") @id(0x0100001C)
    action deliver(bit<9> port, bit<12> vid, bit<48> mac) {
        meta.egress_port = port;
        meta.egress_vid = vid;
        hdr.eth.dst = mac;
    }

    @name(".no_neighbour") @id(0x0100001D)
    action no_neighbour() {
        meta.drop_reason = drop_t.NO_NEIGHBOUR;
        meta.punt = punt_t.NO_NEIGHBOUR;
    }

    @name(".neighbour") @id(0x0200000E)
    table neighbour {
        key = { meta.next_hop : exact @name("next_hop"); }
        actions = { deliver; @defaultonly no_neighbour; }
        const default_action = no_neighbour;
        size = SIZE_NEIGHBOUR;
    }

    @name(".neighbour_v6") @id(0x0200001B)
    table neighbour_v6 {
        key = { meta.next_hop6 : exact @name("next_hop"); }
        actions = { deliver; @defaultonly no_neighbour; }
        const default_action = no_neighbour;
        size = SIZE_NEIGHBOUR_V6;
    }

    apply {
        if (meta.ether_type == ETHERTYPE_IPV4) {
            if (hdr.outer_ip.isValid()) {
                meta.route_dst = hdr.outer_ip.dst;
            } else if (hdr.ip.isValid()) {
                meta.route_dst = hdr.ip.dst;
            }
            route_v4.apply();
            if (meta.drop_reason == drop_t.NONE) {
                neighbour.apply();
            }
        } else {
            if (hdr.outer_ip6.isValid()) {
                meta.route_dst6 = hdr.outer_ip6.dst;
            } else if (hdr.ip6.isValid()) {
                meta.route_dst6 = hdr.ip6.dst;
            }
            route_v6.apply();
            if (meta.drop_reason == drop_t.NONE) {
                neighbour_v6.apply();
            }
        }
    }
}
