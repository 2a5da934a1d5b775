// Pass 1, outbound: outer headers with their final lengths (padding is deterministic, RFC 4303
// 2.4) and the request to the engine. The sequence number is already taken: nothing here drops.
control seal_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<16> plain_len;
    bit<16> header_len;      // outer IP to IV
    bit<16> sealed_len;      // payload, padding, trailer, ICV

    action build_esp() {
        hdr.esp.setValid();
        hdr.esp.spi = meta.spi;
        hdr.esp.seq = meta.seq[31:0];
    }

    action build_iv() {
        hdr.esp_iv.setValid();
        hdr.esp_iv.iv = meta.seq;
    }

    // RFC 3948 2.1: checksum zero over IPv4.
    action build_udp() {
        hdr.outer_udp.setValid();
        hdr.outer_udp.sport = meta.udp_sport;
        hdr.outer_udp.dport = meta.udp_dport;
        hdr.outer_udp.length = header_len - 20 + sealed_len;
        hdr.outer_udp.checksum = 0;
    }

    // RFC 4301 5.1.2, RFC 6040 4.1 (normal mode). The ID of a packet without DF comes from the
    // sequence number: unique for 65,536 packets of one SA (RFC 6864).
    action build_outer_ip() {
        hdr.outer_ip.setValid();
        hdr.outer_ip.version = 4;
        hdr.outer_ip.ihl = 5;
        hdr.outer_ip.dscp = meta.dscp_copy == 1 ? hdr.ip.dscp : meta.dscp;
        hdr.outer_ip.ecn = hdr.ip.ecn;
        hdr.outer_ip.total_len = header_len + sealed_len;
        hdr.outer_ip.reserved = 0;
        hdr.outer_ip.df = meta.df_mode == DF_COPY ? hdr.ip.df : (meta.df_mode == DF_SET ? 1w1 : 0);
        hdr.outer_ip.identification = hdr.outer_ip.df == 1 ? 16w0 : meta.seq[15:0];
        hdr.outer_ip.mf = 0;
        hdr.outer_ip.frag_offset = 0;
        hdr.outer_ip.ttl = meta.tunnel_ttl;
        hdr.outer_ip.protocol = meta.udp_encap == 1 ? PROTO_UDP : PROTO_ESP;
        hdr.outer_ip.src = meta.tunnel_src;
        hdr.outer_ip.dst = meta.tunnel_dst;
        meta.outer_built = 1;
    }

    action build_request() {
        hdr.cx.setValid();
        hdr.cx.op = CX_SEAL;
        hdr.cx.flags = CX_FLAG_TRAILER | (meta.esn == 1 ? CX_FLAG_ESN : 0);
        hdr.cx.status = CX_REQUEST;
        hdr.cx.next_header = PROTO_IPV4;
        hdr.cx.key = meta.key;
        hdr.cx.seq = meta.seq;
        hdr.cx.sa = (bit<24>)meta.sa;
        hdr.cx.generation = meta.generation;
        hdr.cx.space = (bit<24>)meta.space;
        hdr.cx.pad_len = 0;
        hdr.cx.aad_off = (bit<8>)(header_len - 8) - meta.iv_len;
        hdr.cx.aad_len = 8;
        hdr.cx.iv_len = meta.iv_len;
        hdr.cx.ct_off = (bit<8>)header_len;
        hdr.cx.plain_len = plain_len;
        hdr.cx.icv_len = meta.icv_len;
        hdr.cx.align = meta.align;
        hdr.eth.ether_type = ETHERTYPE_CRYPTO;
        hdr.vlan.setInvalid();
    }

    apply {
        plain_len = hdr.ip.total_len;
        header_len = 28 + (bit<16>)meta.iv_len + (meta.udp_encap == 1 ? 16w8 : 16w0);
        // Rounds payload, pad length and next header up to the alignment.
        sealed_len = ((plain_len + 1 + (bit<16>)meta.align) & ~((bit<16>)meta.align - 1))
                     + (bit<16>)meta.icv_len;
        build_esp();
        if (meta.iv_len != 0) {
            build_iv();
        }
        if (meta.udp_encap == 1) {
            build_udp();
        }
        build_outer_ip();
        build_request();
    }
}
