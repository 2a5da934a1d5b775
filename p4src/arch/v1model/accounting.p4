// Counters, the punt meter and the digest.
#ifndef P4ESP_V1MODEL_ACCOUNTING
#define P4ESP_V1MODEL_ACCOUNTING

struct sa_event_t {
    bit<8>  kind;
    bit<16> sa;
    bit<8>  generation;
    bit<64> seq;
    bit<64> peer_high;
    bit<64> peer_low;
    bit<16> peer_port;
}

// Traffic of an SA, counted in pass 2 on what the engine and the window have accepted. Octets
// are those of the frame on the crypto port.
control sa_accounting(inout headers_t hdr, inout metadata_t meta) {
    @name(".sa_out_traffic") @id(0x12000001)
    counter(SIZE_SA, CounterType.packets_and_bytes) sa_out_traffic;
    @name(".sa_in_traffic") @id(0x12000002)
    counter(SIZE_SA, CounterType.packets_and_bytes) sa_in_traffic;

    apply {
        if (meta.path == path_t.SEALED) {
            sa_out_traffic.count((bit<32>)meta.sa);
        } else {
            sa_in_traffic.count((bit<32>)meta.sa);
        }
    }
}

// Packets that were not authentic, by the inbound SA that they claimed. Those of an SA that has
// lost count of its ESNs are all of that kind (RFC 4303 A3).
control icv_accounting(inout headers_t hdr, inout metadata_t meta) {
    @name(".sa_in_forged") @id(0x12000006)
    counter(SIZE_SA, CounterType.packets) sa_in_forged;

    apply {
        sa_in_forged.count((bit<32>)meta.sa);
    }
}

// Packets whose DSCP is none of their SA's class.
control class_accounting(inout headers_t hdr, inout metadata_t meta) {
    @name(".sa_in_strays") @id(0x12000007)
    counter(SIZE_SA, CounterType.packets) sa_in_strays;

    apply {
        sa_in_strays.count((bit<32>)meta.sa);
    }
}

// Keeps a flood of one class from the controller, from the other classes, and from the same
// class of our own side and of tunnels.
control punt_limit(inout headers_t hdr, inout metadata_t meta) {
    @name(".punt_rate") @id(0x14000001)
    meter(PUNT_METERS, MeterType.packets) punt_rate;

    action refuse() {
        meta.punt = punt_t.NONE;
        if (meta.drop_reason == drop_t.NONE) {
            meta.drop_reason = drop_t.PUNT_LIMITED;
        }
    }

    apply {
        bit<2> colour = 0;
        bit<32> index = (bit<32>)(bit<8>)meta.punt;
        if (meta.role != role_t.UNPROTECTED) {
            index = index + PUNT_REASONS;
        }
        punt_rate.execute_meter(index, colour);
        if (colour == 2) {
            refuse();
        }
    }
}

// Keeps a flood of ESP pings from becoming a flood of answers. A meter that nobody has set passes all,
// so that the controller sets it before it lets pings be answered.
control echo_limit(inout headers_t hdr, inout metadata_t meta) {
    @name(".echo_rate") @id(0x14000002)
    meter(1, MeterType.packets) echo_rate;

    apply {
        bit<2> colour = 0;
        echo_rate.execute_meter(32w0, colour);
        if (colour == 2) {
            meta.drop_reason = drop_t.ECHO_LIMITED;
        }
    }
}

// The one place that drops, and the one that counts what became of a packet.
control outcome_accounting(inout headers_t hdr, inout metadata_t meta,
                           inout standard_metadata_t standard) {
    @name(".drops") @id(0x12000003)
    counter(DROP_REASONS, CounterType.packets) drops;
    @name(".punts") @id(0x12000004)
    counter(PUNT_REASONS, CounterType.packets) punts;
    @name(".outcomes") @id(0x12000005)
    counter(OUTCOMES, CounterType.packets) outcomes;

    outcome_t outcome;

    apply {
        if (meta.punt != punt_t.NONE) {
            punts.count((bit<32>)(bit<8>)meta.punt);
        }
        if (meta.drop_reason != drop_t.NONE) {
            drops.count((bit<32>)(bit<8>)meta.drop_reason);
            outcome = outcome_t.DROPPED;
        } else if (meta.path == path_t.CONTROL) {
            outcome = outcome_t.ANSWERED;
        } else if (meta.punt != punt_t.NONE) {
            outcome = outcome_t.PUNTED;
        } else if (meta.path == path_t.SEAL || meta.path == path_t.OPEN) {
            outcome = outcome_t.TO_ENGINE;
        } else {
            outcome = outcome_t.FORWARDED;
        }
        outcomes.count((bit<32>)(bit<8>)outcome);

        if (meta.notify != event_t.NONE) {
            digest<sa_event_t>(1, { (bit<8>)meta.notify, meta.sa, meta.generation, meta.seq,
                                    meta.peer_high, meta.peer_low, meta.peer_port });
        }
        if (hdr.packet_in.isValid()) {
            standard.egress_spec = CPU_PORT;
        } else if (outcome == outcome_t.DROPPED) {
            mark_to_drop(standard);
        } else {
            standard.egress_spec = meta.egress_port;
        }
    }
}

#endif
