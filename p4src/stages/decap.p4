// The engine's frame becomes a packet of ours again.
control decap_stage(inout headers_t hdr, inout metadata_t meta) {
    action strip() {
        hdr.outer_ip.setInvalid();
        hdr.outer_opt.setInvalid();
        hdr.outer_ip6.setInvalid();
        hdr.outer_rest.setInvalid();
        hdr.outer_tail.setInvalid();
        hdr.outer_udp.setInvalid();
        hdr.wesp_marker.setInvalid();
        hdr.wesp.setInvalid();
        hdr.wesp_pad.setInvalid();
        hdr.esp.setInvalid();
        hdr.esp_low.setInvalid();
        hdr.eesp.setInvalid();
        hdr.eesp_option.setInvalid();
        hdr.eesp_padding.setInvalid();
        hdr.eesp_seq.setInvalid();
        hdr.psp.setInvalid();
        hdr.psp_cookie.setInvalid();
        hdr.esp_iv.setInvalid();
        hdr.esp_long_iv.setInvalid();
        hdr.tih.setInvalid();
        hdr.front.setInvalid();
        hdr.beet_ph.setInvalid();
        hdr.beet_pad.setInvalid();
    }

    apply {
        hdr.cx.setInvalid();
        if (meta.path == path_t.OPENED) {
            strip();
        }
        meta.ether_type = hdr.outer_ip.isValid() || hdr.ip.isValid()
            ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
        hdr.eth.ether_type = meta.ether_type;
    }
}
