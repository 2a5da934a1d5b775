// The engine's frame becomes a packet of ours again.
control decap_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        hdr.eth.ether_type = ETHERTYPE_IPV4;
        hdr.cx.setInvalid();
        meta.route_dst = hdr.outer_ip.dst;
        if (meta.path == path_t.OPENED) {
            hdr.outer_ip.setInvalid();
            hdr.outer_opt.setInvalid();
            hdr.outer_udp.setInvalid();
            hdr.esp.setInvalid();
            hdr.esp_iv.setInvalid();
        }
    }
}
