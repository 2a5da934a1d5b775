// ECN at the tunnel's end, RFC 6040 figure 4. 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
control ecn_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<2> inner;
    bit<2> outer;
    bit<2> merged;

    apply {
        inner = hdr.ip.isValid() ? hdr.ip.ecn : hdr.ip6.ecn;
        outer = hdr.outer_ip.isValid() ? hdr.outer_ip.ecn : hdr.outer_ip6.ecn;
        merged = inner;
        if (inner == 0 && outer == 3) {
            meta.drop_reason = drop_t.ECN_DROP;
        } else if (inner != 0 && outer == 3) {
            merged = 3;
        } else if (inner == 2 && outer == 1) {
            merged = 1;
        }
        if (merged != inner) {
            if (hdr.ip.isValid()) {
                hdr.ip.ecn = merged;
                meta.ip_changed = 1;
            } else {
                hdr.ip6.ecn = merged;
            }
        }
    }
}
