// A number from 0 to 255 that is the same for all packets of a flow.
#ifndef P4ESP_V1MODEL_FLOW_BUCKET
#define P4ESP_V1MODEL_FLOW_BUCKET

control flow_bucket(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.ip.isValid()) {
            hash(meta.bucket, HashAlgorithm.crc32, 8w0,
                 { hdr.ip.src, hdr.ip.dst, hdr.ip.protocol, meta.sport, meta.dport }, 32w256);
        } else {
            hash(meta.bucket, HashAlgorithm.crc32, 8w0,
                 { hdr.ip6.src, hdr.ip6.dst, meta.l4_protocol, meta.sport, meta.dport }, 32w256);
        }
    }
}

#endif
