// Which SA of a set (RFC 9611)? A bucket without a member is served by the set's fallback SA, so
// that members come and go one bucket at a time and no other flow notices.
control sa_member_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".member") @id(0x01000023)
    action member(bit<16> sa) {
        meta.sa = sa;
    }

    // RFC 9611: the fallback SA serves this bucket, too, until its resource has an SA of its own.
    @name(".acquire_member") @id(0x01000050)
    action acquire_member() {
        meta.notify = event_t.ACQUIRE;
        meta.peer_low = (bit<64>)meta.bucket;
    }

    @name(".fallback") @id(0x01000024)
    action fallback() {}

    @name(".sa_member") @id(0x02000014)
    table sa_member {
        key = {
            meta.sa_set : exact @name("set");
            meta.bucket : exact @name("bucket");
        }
        actions = { member; acquire_member; @defaultonly fallback; }
        const default_action = fallback;
        size = SIZE_SA_MEMBER;
    }

    apply {
        if (meta.spread == spread_t.PORT) {
            meta.bucket = meta.ingress_port[7:0];
        } else if (meta.spread == spread_t.DSCP) {
            meta.bucket = (bit<8>)(hdr.ip.isValid() ? hdr.ip.dscp : hdr.ip6.dscp);
        }
        sa_member.apply();
    }
}
