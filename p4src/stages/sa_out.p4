// The outbound SA: all that both passes know of it. Pass 2 trusts the descriptor only as far
// as it agrees with this entry.
control sa_out_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8> claimed_generation;

    @name(".seal_with") @id(0x0100000D)
    action seal_with(bit<8> generation, bit<32> key, bit<16> space, bit<1> esn,
                     bit<64> seq_soft, bit<64> seq_hard,
                     bit<8> iv_len, bit<8> icv_len, bit<8> align, bit<32> spi,
                     bit<32> tunnel_src, bit<32> tunnel_dst, bit<8> tunnel_ttl,
                     bit<1> udp_encap, bit<16> udp_sport, bit<16> udp_dport,
                     bit<1> dscp_copy, bit<6> dscp, bit<2> df_mode) {
        meta.generation = generation;
        meta.key = key;
        meta.space = space;
        meta.esn = esn;
        meta.seq_soft = seq_soft;
        meta.seq_hard = seq_hard;
        meta.iv_len = iv_len;
        meta.icv_len = icv_len;
        meta.align = align;
        meta.spi = spi;
        meta.tunnel_src = tunnel_src;
        meta.tunnel_dst = tunnel_dst;
        meta.tunnel_ttl = tunnel_ttl;
        meta.udp_encap = udp_encap;
        meta.udp_sport = udp_sport;
        meta.udp_dport = udp_dport;
        meta.dscp_copy = dscp_copy;
        meta.dscp = dscp;
        meta.df_mode = df_mode;
    }

    @name(".no_sa_out") @id(0x0100000E)
    action no_sa_out() {
        meta.drop_reason = drop_t.STALE_SA;
    }

    @name(".sa_out") @id(0x02000007)
    table sa_out {
        key = { meta.sa : exact @name("sa"); }
        actions = { seal_with; @defaultonly no_sa_out; }
        const default_action = no_sa_out;
        size = SIZE_SA;
    }

    apply {
        claimed_generation = meta.generation;
        sa_out.apply();
        if (meta.path == path_t.SEALED
            && (meta.generation != claimed_generation || meta.key != hdr.cx.key)) {
            meta.drop_reason = drop_t.STALE_SA;
        }
    }
}
