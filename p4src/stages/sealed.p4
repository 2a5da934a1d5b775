// Pass 2, outbound: only the very ESP packet that pass 1 asked for may leave. Whatever else the
// engine hands back as sealed is clear to us, and egress_guard holds it.
control sealed_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8> protocol;

    apply {
        protocol = meta.udp_encap == 1 ? PROTO_UDP : PROTO_ESP;
        if (hdr.esp.isValid() && hdr.esp.spi == meta.spi && hdr.esp.seq == meta.seq[31:0]
            && hdr.outer_ip.protocol == protocol && hdr.outer_ip.ihl == 5
            && hdr.outer_ip.src == meta.tunnel_src && hdr.outer_ip.dst == meta.tunnel_dst) {
            meta.cleared = 1;
        }
    }
}
