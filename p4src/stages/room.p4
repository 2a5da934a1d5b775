// Is there room for what sealing adds? Asked before the sequence number is taken.
control room_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        // With 8-bit lengths of IV, alignment and ICV, sealing adds less than 1,024 octets.
        if (hdr.ip.total_len > 0xFFFF - 1024) {
            meta.drop_reason = drop_t.TOO_BIG;
        }
    }
}
