// The inbound SA, one entry, so that one write changes all of it. Pass 1 comes here from the
// SAD, pass 2 from the descriptor; either must name the generation that is installed.
control sa_in_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8> claimed_generation;

    @name(".open_with") @id(0x01000011)
    action open_with(bit<8> generation, bit<32> key, bit<16> space, bit<1> esn,
                     bit<16> window, bit<32> cell_base, bit<32> cell_mask,
                     bit<8> iv_len, bit<8> icv_len, bit<8> align,
                     bit<2> sel_multi, bit<32> sel_src, bit<32> sel_src_mask,
                     bit<32> sel_dst, bit<32> sel_dst_mask, bit<8> sel_protocol,
                     bit<16> sel_sport_low, bit<16> sel_sport_high,
                     bit<16> sel_dport_low, bit<16> sel_dport_high,
                     bit<8> mode, bit<8> wrap, bit<32> trial_from, bit<32> trial_skip,
                     bit<8> format) {
        meta.generation = generation;
        meta.key = key;
        meta.space = space;
        meta.esn = esn;
        meta.window = window;
        meta.cell_base = cell_base;
        meta.cell_mask = cell_mask;
        meta.iv_len = iv_len;
        meta.icv_len = icv_len;
        meta.align = align;
        meta.sel_multi = sel_multi;
        meta.sel_src = sel_src;
        meta.sel_src_mask = sel_src_mask;
        meta.sel_dst = sel_dst;
        meta.sel_dst_mask = sel_dst_mask;
        meta.sel_protocol = sel_protocol;
        meta.sel_sport_low = sel_sport_low;
        meta.sel_sport_high = sel_sport_high;
        meta.sel_dport_low = sel_dport_low;
        meta.sel_dport_high = sel_dport_high;
        meta.mode = (mode_t)mode;
        meta.wrap = (wesp_t)wrap;
        meta.trial_from = trial_from;
        meta.trial_skip = trial_skip;
        meta.format = (format_t)format;
    }

    @name(".no_sa_in") @id(0x01000012)
    action no_sa_in() {
        meta.drop_reason = drop_t.STALE_SA;
    }

    @name(".sa_in") @id(0x02000009)
    table sa_in {
        key = { meta.sa : exact @name("sa"); }
        actions = { open_with; @defaultonly no_sa_in; }
        const default_action = no_sa_in;
        size = SIZE_SA;
    }

    apply {
        claimed_generation = meta.generation;
        sa_in.apply();
        if (meta.generation != claimed_generation
            || meta.path == path_t.OPENED && hdr.cx.flags[5:4] != ((bit<8>)meta.mode)[1:0]) {
            meta.drop_reason = drop_t.STALE_SA;
        }
    }
}
