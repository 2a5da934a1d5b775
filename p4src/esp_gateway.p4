// The ESP gateway: which stage sees which packet, in which order. Each stage takes one decision
// and stands in a file of its own, and what a packet format adds in formats/; flow_bucket,
// sequence_state, replay_state, control_message, sa_accounting, icv_accounting and punt_limit come
// from arch/.
#ifndef P4ESP_GATEWAY
#define P4ESP_GATEWAY

#include "stages/port_role.p4"
#include "stages/from_host.p4"
#include "stages/reply.p4"
#include "stages/intake.p4"
#include "stages/local.p4"
#include "stages/label.p4"
#include "stages/policy.p4"
#include "stages/sa_select.p4"
#include "stages/sa_member.p4"
#include "stages/sad.p4"
#include "stages/sa_out.p4"
#include "stages/sa_in.p4"
#include "stages/format.p4"
#include "stages/reply_layout.p4"
#include "stages/wrapping.p4"
#include "stages/esp_length.p4"
#include "stages/engine_status.p4"
#include "stages/sealed.p4"
#include "stages/peer.p4"
#include "stages/rebuild.p4"
#include "stages/inner.p4"
#include "formats/diet_expand.p4"
#include "stages/ecn.p4"
#include "stages/selectors.p4"
#include "stages/in_class.p4"
#include "stages/layer4_repair.p4"
#include "stages/time_to_live.p4"
#include "stages/crypto_port.p4"
#include "stages/fit.p4"
#include "stages/seal_transport.p4"
#include "stages/outer_header.p4"
#include "stages/seal_request.p4"
#include "stages/seal.p4"
#include "stages/open.p4"
#include "stages/decap.p4"
#include "stages/route.p4"
#include "stages/egress_guard.p4"
#include "stages/label_guard.p4"
#include "stages/punt.p4"

#define GOING_ON (meta.drop_reason == drop_t.NONE)

// Where does the packet come from, and which path does it take?
control classify(inout headers_t hdr, inout metadata_t meta) {
    port_role_stage()  port_role;
    from_host_stage()  from_host;
    reply_stage()      reply;
    intake_stage()     intake;
    local_stage()      local;
    label_stage()      label;
    policy_stage()     policy;

    apply {
        port_role.apply(hdr, meta);
        if (GOING_ON) {
            if (meta.ingress_port == CPU_PORT && meta.role == role_t.CPU) {
                from_host.apply(hdr, meta);
            } else if (meta.ingress_port == CRYPTO_PORT && meta.role == role_t.CRYPTO) {
                reply.apply(hdr, meta);
            } else if (meta.role == role_t.PROTECTED || meta.role == role_t.UNPROTECTED) {
                intake.apply(hdr, meta);
            } else {
                meta.drop_reason = drop_t.NO_ROLE;
            }
        }
        if (GOING_ON && (hdr.ip.isValid() || hdr.ip6.isValid())) {
            local.apply(hdr, meta);
        }
        if (meta.labelled == 1 && GOING_ON) {
            label.apply(hdr, meta);
        }
        if (GOING_ON && (meta.path == path_t.PLAIN
                         || meta.path == path_t.HOST && meta.cleared == 0)) {
            policy.apply(hdr, meta);
        }
    }
}

// Which SA, is it the right one still, and is the sequence number fresh?
control associate(inout headers_t hdr, inout metadata_t meta) {
    sa_select_stage()     sa_select;
    flow_bucket()         bucket;
    sa_member_stage()     sa_member;
    sad_stage()           sad;
    sa_out_stage()        sa_out;
    sa_in_stage()         sa_in;
    format_stage()        format;
    reply_layout_stage()  layout;
    wrapping_stage()      wrapping;
    esp_length_stage()    esp_length;
    replay_state()        replay;
    sa_accounting()       accounting;
    icv_accounting()      forgeries;
    engine_status_stage() engine_status;

    apply {
        if (meta.path == path_t.SEAL) {
            if (meta.of_ours == 0) {
                sa_select.apply(hdr, meta);
            }
            if (meta.sa_set != 0) {
                if (meta.spread == spread_t.FLOW) {
                    bucket.apply(hdr, meta);
                }
                sa_member.apply(hdr, meta);
            }
        } else if (meta.path == path_t.OPEN) {
            sad.apply(hdr, meta);
        }
        if (GOING_ON && (meta.path == path_t.SEAL || meta.path == path_t.SEALED)) {
            sa_out.apply(hdr, meta);
        } else if (GOING_ON && (meta.path == path_t.OPEN || meta.path == path_t.OPENED)) {
            sa_in.apply(hdr, meta);
        }
        if (GOING_ON) {
            format.apply(hdr, meta);
        }
        if (GOING_ON && meta.path == path_t.OPENED && hdr.cx.status == CX_DONE) {
            layout.apply(hdr, meta);
        }
        if (GOING_ON && meta.path == path_t.OPEN) {
            wrapping.apply(hdr, meta);
            if (GOING_ON) {
                esp_length.apply(hdr, meta);
            }
            meta.replay_op = replay_op_t.CHECK;
        } else if (GOING_ON && meta.path == path_t.OPENED
                   && (hdr.cx.status == CX_DONE || hdr.cx.status & CX_AUTHENTIC != 0)) {
            meta.replay_op = replay_op_t.COMMIT;
        }
        if (GOING_ON && meta.replay_op != replay_op_t.NONE) {
            replay.apply(hdr, meta);
        }
        if (GOING_ON && (meta.replay_op == replay_op_t.COMMIT
                         || meta.path == path_t.SEALED && hdr.cx.status == CX_DONE)) {
            accounting.apply(hdr, meta);
        }
        if (GOING_ON && hdr.cx.isValid() && hdr.cx.status != CX_DONE) {
            if (meta.path == path_t.OPENED && hdr.cx.status == CX_BAD_ICV) {
                forgeries.apply(hdr, meta);
            }
            engine_status.apply(hdr, meta);
        }
    }
}

// Is what came out of the SA what it is for?
control admit(inout headers_t hdr, inout metadata_t meta) {
    peer_stage()          peer;
    psp_receipt_stage()   psp_receipt;
    inner_stage()         inner;
    diet_expand_stage()   diet_expand;
    rebuild_stage()       rebuild;
    ecn_stage()           ecn;
    selectors_stage()     selectors;
    in_class_stage()      in_class;
    layer4_repair_stage() layer4_repair;

    apply {
        if (meta.newest == 1 && hdr.outer_udp.isValid() && !hdr.psp.isValid()) {
            peer.apply(hdr, meta);
        }
        if (hdr.psp.isValid()) {
            psp_receipt.apply(hdr, meta);
        }
        if (GOING_ON) {
            if (meta.format == format_t.DIET) {
                diet_expand.apply(hdr, meta);
            } else {
                inner.apply(hdr, meta);
            }
        }
        if (GOING_ON && meta.mode == mode_t.TUNNEL && meta.punt == punt_t.NONE) {
            ecn.apply(hdr, meta);
        } else if (GOING_ON && (meta.mode == mode_t.TRANSPORT
                                || meta.mode != mode_t.TUNNEL && meta.punt == punt_t.NONE)) {
            rebuild.apply(hdr, meta);
        }
        if (GOING_ON && meta.punt == punt_t.NONE) {
            selectors.apply(hdr, meta);
        }
        if (GOING_ON && meta.sel_multi[1:1] == 1 && meta.punt == punt_t.NONE) {
            in_class.apply(hdr, meta);
        }
        if (GOING_ON && meta.mode == mode_t.TRANSPORT && meta.punt == punt_t.NONE) {
            layer4_repair.apply(hdr, meta);
        }
        if (GOING_ON && meta.local == 1 && meta.proxied == 0 && meta.punt == punt_t.NONE) {
            meta.punt = punt_t.LOCAL;
        }
    }
}

// To the engine: the sequence number is taken after every check that can drop.
control request(inout headers_t hdr, inout metadata_t meta) {
    crypto_port_stage() crypto_port;
    fit_stage()         fit;
    sequence_state()    sequence;
    seal_stage()        seal;
    open_stage()        open;

    apply {
        crypto_port.apply(hdr, meta);
        if (GOING_ON && meta.path == path_t.SEAL) {
            fit.apply(hdr, meta);
            if (GOING_ON) {
                sequence.apply(hdr, meta);
            }
            if (GOING_ON) {
                seal.apply(hdr, meta);
            }
        } else if (GOING_ON) {
            open.apply(hdr, meta);
        }
    }
}

control gateway(inout headers_t hdr, inout metadata_t meta) {
    classify()           classification;
    associate()          association;
    sealed_stage()       sealed;
    admit()              admission;
    time_to_live_stage() time_to_live;
    request()            engine_request;
    decap_stage()        decap;
    route_stage()        route;
    egress_guard_stage() egress_guard;
    label_guard_stage()  label_guard;
    control_message()    control_messages;
    punt_limit()         limit;
    punt_stage()         punt;

    apply {
        classification.apply(hdr, meta);

        if (GOING_ON && (meta.path == path_t.SEAL || meta.path == path_t.SEALED
                         || meta.path == path_t.OPEN || meta.path == path_t.OPENED)) {
            association.apply(hdr, meta);
        }
        if (GOING_ON && meta.path == path_t.SEALED) {
            sealed.apply(hdr, meta);
        } else if (GOING_ON && meta.path == path_t.OPENED) {
            admission.apply(hdr, meta);
        }
        if (GOING_ON && meta.punt == punt_t.NONE
            && (meta.path == path_t.SEAL && meta.of_ours == 0 || meta.path == path_t.OPENED
                || meta.path == path_t.FORWARD)) {
            time_to_live.apply(hdr, meta);
        }
        if (GOING_ON && (meta.path == path_t.SEAL || meta.path == path_t.OPEN)) {
            engine_request.apply(hdr, meta);
        }
        if (meta.path == path_t.SEALED || meta.path == path_t.OPENED) {
            decap.apply(hdr, meta);
        }
        if (GOING_ON && meta.punt == punt_t.NONE
            && (meta.path == path_t.FORWARD || meta.path == path_t.SEALED
                || meta.path == path_t.OPENED || meta.path == path_t.HOST)) {
            route.apply(hdr, meta);
            if (GOING_ON) {
                egress_guard.apply(hdr, meta);
            }
            if (meta.labelled == 1 && GOING_ON) {
                label_guard.apply(hdr, meta);
            }
        }
        if (GOING_ON && meta.path == path_t.CONTROL) {
            control_messages.apply(hdr, meta);
        }
        if (meta.punt != punt_t.NONE) {
            limit.apply(hdr, meta);
        }
        if (meta.punt != punt_t.NONE) {
            punt.apply(hdr, meta);
        }
    }
}

#endif
