// Is there room for what sealing adds? Asked before the sequence number is taken.
control room_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        // Outer IP, UDP, ESP, IV, padding, trailer and ICV stay below 512 octets.
        if (hdr.ip.total_len > 0xFFFF - 512) {
            meta.drop_reason = drop_t.TOO_BIG;
        }
    }
}
