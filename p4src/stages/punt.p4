// To the controller, with what it needs to act. The rate of each class is limited in arch/.
control punt_stage(inout headers_t hdr, inout metadata_t meta) {
    apply {
        hdr.packet_in.setValid();
        hdr.packet_in.op = (bit<8>)meta.punt;
        hdr.packet_in.status = (bit<8>)meta.drop_reason;
        hdr.packet_in.port = (bit<16>)meta.ingress_port;
        hdr.packet_in.token = 0;
        hdr.packet_in.index = meta.punt == punt_t.ACQUIRE ? (bit<32>)meta.policy : (bit<32>)meta.sa;
        hdr.packet_in.value = meta.punt == punt_t.TOO_BIG ? (bit<64>)meta.inner_mtu : 0;
    }
}
