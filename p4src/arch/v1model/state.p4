// Registers: the sequence numbers and replay windows of all SAs, and the control messages that
// read and scrub them (bmv2 has no register access over P4Runtime).
#ifndef P4ESP_V1MODEL_STATE
#define P4ESP_V1MODEL_STATE

// Last sequence number sent, by outbound space.
@name(".sequence") @id(0x16000001) register<bit<64>>(SPACES) sequence_register;
// Highest authenticated sequence number, by inbound space.
@name(".window_top") @id(0x16000002) register<bit<64>>(SPACES) top_register;
// Tagged blocks of 32 sequence numbers: {block 32, bits 32}.
@name(".window_cell") @id(0x16000003) register<bit<64>>(REPLAY_CELLS) cell_register;

const bit<64> SOFT_REPEAT_MASK = 0x3FF;   // a soft limit speaks again every 1,024 packets

// Takes the next sequence number (RFC 4303 3.3.3). Everything that can drop stands before.
control sequence_state(inout headers_t hdr, inout metadata_t meta) {
    action take() {
        bit<64> last;
        sequence_register.read(last, (bit<32>)meta.space);
        if (last >= meta.seq_hard) {
            meta.drop_reason = drop_t.SA_EXPIRED;
        } else {
            meta.seq = last + 1;
            sequence_register.write((bit<32>)meta.space, meta.seq);
            if (meta.seq == meta.seq_hard) {
                meta.notify = event_t.HARD_LIMIT;
            } else if (meta.seq >= meta.seq_soft
                       && ((meta.seq ^ meta.seq_soft) & SOFT_REPEAT_MASK) == 0) {
                meta.notify = event_t.SOFT_LIMIT;
            }
        }
    }

    apply {
        take();
    }
}

// The anti-replay window (RFC 4303 3.4.3) as a ring of tagged blocks. CHECK is read only and
// infers the high half of an ESN (RFC 4303 A2.2); COMMIT tests again and then writes, top first.
control replay_state(inout headers_t hdr, inout metadata_t meta) {
    action infer(in bit<64> top) {
        bit<32> bottom = top[31:0] - (bit<32>)meta.window + 1;
        bit<32> high = top[63:32];
        if (top[31:0] >= (bit<32>)meta.window - 1) {
            if (meta.seq_lo < bottom) {
                high = high + 1;
            }
        } else if (meta.seq_lo >= bottom && high != 0) {
            high = high - 1;
        }
        if (meta.trial_skip != 0 && top[63:32] == meta.trial_from) {
            high = high + meta.trial_skip;
        }
        meta.seq = high ++ meta.seq_lo;
    }

    // Diet-ESP: the smallest number that the window does not refuse and that ends in what was sent.
    action recover(in bit<64> top) {
        bit<64> bottom = top >= (bit<64>)meta.window ? top - (bit<64>)meta.window + 1 : 1;
        meta.seq = bottom + (((bit<64>)meta.seq_lo - bottom) & meta.sn_mask);
        if (meta.seq[63:32] != 0) {
            meta.drop_reason = drop_t.SEQ_RANGE;
        }
    }

    action examine() {
        bit<64> top;
        bit<64> cell;
        bit<32> index;
        bit<32> bit_mask;
        top_register.read(top, (bit<32>)meta.space);
        if (meta.replay_op == replay_op_t.CHECK && meta.whole_seq == 0) {
            meta.seq = (bit<64>)meta.seq_lo;
            if (meta.esn == 1) {
                infer(top);
            }
        } else if (meta.replay_op == replay_op_t.CHECK && meta.format == format_t.DIET) {
            recover(top);
        }
        index = (meta.cell_base + (meta.seq[36:5] & meta.cell_mask)) & (REPLAY_CELLS - 1);
        bit_mask = 32w1 << meta.seq[4:0];
        cell_register.read(cell, index);
        if (meta.seq == 0) {
            meta.drop_reason = drop_t.SEQ_ZERO;
        } else if (meta.seq[63:37] != 0) {
            meta.drop_reason = drop_t.SEQ_RANGE;
        } else if (top >= meta.seq + (bit<64>)meta.window) {
            meta.drop_reason = drop_t.REPLAY_OLD;
        } else if (cell[63:32] > meta.seq[36:5]) {
            meta.drop_reason = drop_t.REPLAY_OLD;
        } else if (cell[63:32] == meta.seq[36:5] && cell[31:0] & bit_mask != 0) {
            meta.drop_reason = drop_t.REPLAY_DUP;
        } else if (meta.replay_op == replay_op_t.COMMIT) {
            if (meta.seq > top) {
                meta.newest = 1;
                top_register.write((bit<32>)meta.space, meta.seq);
            }
            if (cell[63:32] == meta.seq[36:5]) {
                bit_mask = bit_mask | cell[31:0];
            }
            cell_register.write(index, meta.seq[36:5] ++ bit_mask);
        }
    }

    action no_service() {
        meta.seq = (bit<64>)meta.seq_lo;
    }

    apply {
        if (meta.window != 0) {
            examine();
            if (meta.replay_op == replay_op_t.COMMIT
                && (meta.drop_reason == drop_t.REPLAY_OLD
                    || meta.drop_reason == drop_t.REPLAY_DUP)) {
                // It was fresh before the engine had it.
                meta.drop_reason = drop_t.REPLAY_LATE;
            }
        } else if (meta.replay_op == replay_op_t.CHECK && meta.whole_seq == 0) {
            no_service();
        }
    }
}

// Answers one control message by packet-in: same op, token and index, a status and a value.
control control_message(inout headers_t hdr, inout metadata_t meta) {
    bit<64> value;
    bit<32> index;

    @name(".boot") @id(0x01000020)
    action boot(bit<64> boot_id) {
        value = boot_id;
    }

    @name(".never_booted") @id(0x01000021)
    action never_booted() {
        hdr.packet_in.status = (bit<8>)ctl_status_t.NO_BOOT;
    }

    // Written once after a pipeline push: if it is missing, so is every register's content.
    @name(".boot_id") @id(0x02000010)
    table boot_id {
        key = { hdr.packet_out.op : exact @name("op"); }
        actions = { boot; @defaultonly never_booted; }
        const default_action = never_booted;
        size = 1;
    }

    action advance() {
        bit<64> last;
        sequence_register.read(last, index);
        if (hdr.packet_out.value > last) {
            sequence_register.write(index, hdr.packet_out.value);
        } else {
            hdr.packet_in.status = (bit<8>)ctl_status_t.BACKWARD;
        }
        value = last;
    }

    // Clears cells index, index + 1, ... and answers how many it did.
    action scrub_cells() {
        bit<64> wanted = hdr.packet_out.value;
#define SCRUB_CELL(n) if (wanted > n && index + n < REPLAY_CELLS) { cell_register.write(index + n, 0); value = n + 1; }
        SCRUB_CELL(0)  SCRUB_CELL(1)  SCRUB_CELL(2)  SCRUB_CELL(3)
        SCRUB_CELL(4)  SCRUB_CELL(5)  SCRUB_CELL(6)  SCRUB_CELL(7)
        SCRUB_CELL(8)  SCRUB_CELL(9)  SCRUB_CELL(10) SCRUB_CELL(11)
        SCRUB_CELL(12) SCRUB_CELL(13) SCRUB_CELL(14) SCRUB_CELL(15)
#undef SCRUB_CELL
    }

    action begin_answer() {
        hdr.packet_in.setValid();
        hdr.packet_in.op = hdr.packet_out.op;
        hdr.packet_in.status = (bit<8>)ctl_status_t.OK;
        hdr.packet_in.port = 0;
        hdr.packet_in.token = hdr.packet_out.token;
        hdr.packet_in.index = hdr.packet_out.index;
    }

    apply {
        begin_answer();
        value = 0;
        index = hdr.packet_out.index;
        if (hdr.packet_out.op == CTL_READ_BOOT) {
            boot_id.apply();
        } else if (hdr.packet_out.op == CTL_READ_CELL || hdr.packet_out.op == CTL_SCRUB_CELLS) {
            if (index >= REPLAY_CELLS) {
                hdr.packet_in.status = (bit<8>)ctl_status_t.BAD_INDEX;
            } else if (hdr.packet_out.op == CTL_READ_CELL) {
                cell_register.read(value, index);
            } else {
                scrub_cells();
            }
        } else if (hdr.packet_out.op > CTL_SCRUB_CELLS || hdr.packet_out.op < CTL_READ_BOOT) {
            hdr.packet_in.status = (bit<8>)ctl_status_t.BAD_OP;
        } else if (index >= SPACES) {
            hdr.packet_in.status = (bit<8>)ctl_status_t.BAD_INDEX;
        } else if (hdr.packet_out.op == CTL_READ_SEQ) {
            sequence_register.read(value, index);
        } else if (hdr.packet_out.op == CTL_SCRUB_SEQ) {
            sequence_register.write(index, 0);
        } else if (hdr.packet_out.op == CTL_ADVANCE_SEQ) {
            advance();
        } else if (hdr.packet_out.op == CTL_READ_TOP) {
            top_register.read(value, index);
        } else if (hdr.packet_out.op == CTL_SCRUB_TOP) {
            top_register.write(index, 0);
        }
        hdr.packet_in.value = value;
    }
}

#endif
