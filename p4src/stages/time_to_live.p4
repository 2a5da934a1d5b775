// A forwarder takes one from the TTL of the inner packet, before encapsulation and again after
// decapsulation (RFC 4301 5.1.2). The controller answers what has run out of hops.
control time_to_live_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.ip.ttl <= 1) {
            meta.drop_reason = drop_t.TTL;
            meta.punt = punt_t.TTL;
        } else {
            hdr.ip.ttl = hdr.ip.ttl - 1;
            meta.ip_changed = 1;
        }
    }
}
