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
                     bit<1> dscp_copy, bit<6> dscp, bit<2> df_mode,
                     bit<8> mode, bit<8> wrap, bit<1> outer_v6,
                     bit<16> inner_mtu, bit<16> tfc_len, bit<8> format) {
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
        meta.mode = (mode_t)mode;
        meta.wrap = (wesp_t)wrap;
        meta.outer_v6 = outer_v6;
        meta.inner_mtu = inner_mtu;
        meta.tfc_len = tfc_len;
        meta.format = (format_t)format;
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

    @name(".between_v6") @id(0x01000025)
    action between_v6(bit<128> src, bit<128> dst, bit<20> flow_label) {
        meta.tunnel_src6 = src;
        meta.tunnel_dst6 = dst;
        meta.flow_label = flow_label;
    }

    @name(".no_tunnel_v6") @id(0x01000026)
    action no_tunnel_v6() {
        meta.drop_reason = drop_t.STALE_SA;
    }

    // The outer addresses of an SA over IPv6; tunnel_src and tunnel_dst are theirs over IPv4.
    @name(".tunnel_v6") @id(0x02000015)
    table tunnel_v6 {
        key = { meta.sa : exact @name("sa"); }
        actions = { between_v6; @defaultonly no_tunnel_v6; }
        const default_action = no_tunnel_v6;
        size = SIZE_SA;
    }

    apply {
        claimed_generation = meta.generation;
        sa_out.apply();
        if (meta.path == path_t.SEALED && meta.generation != claimed_generation) {
            meta.drop_reason = drop_t.STALE_SA;
        } else if (meta.outer_v6 == 1) {
            tunnel_v6.apply();
        }
    }
}
