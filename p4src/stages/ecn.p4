// ECN at the tunnel's end, RFC 6040 figure 4. 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
control ecn_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.ip.ecn == 0 && hdr.outer_ip.ecn == 3) {
            meta.drop_reason = drop_t.ECN_DROP;
        } else if (hdr.ip.ecn != 0 && hdr.outer_ip.ecn == 3) {
            hdr.ip.ecn = 3;
            meta.ip_changed = 1;
        } else if (hdr.ip.ecn == 2 && hdr.outer_ip.ecn == 1) {
            hdr.ip.ecn = 1;
            meta.ip_changed = 1;
        }
    }
}
