// A forwarder takes one from the hops of the packet, before encapsulation and again after
// decapsulation (RFC 4301 5.1.2). The controller answers what has run out of hops.
control time_to_live_stage(inout headers_t hdr, inout metadata_t meta) {
    action expired() {
        meta.drop_reason = drop_t.TTL;
        meta.punt = punt_t.TTL;
    }

    apply {
        if (hdr.ip.isValid()) {
            if (hdr.ip.ttl <= 1) {
                expired();
            } else {
                hdr.ip.ttl = hdr.ip.ttl - 1;
                meta.ip_changed = 1;
            }
        } else {
            if (hdr.ip6.hop_limit <= 1) {
                expired();
            } else {
                hdr.ip6.hop_limit = hdr.ip6.hop_limit - 1;
            }
        }
    }
}
