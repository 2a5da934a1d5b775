// Last stage before the wire: nothing leaves an unprotected port that was not sealed, bypassed
// by policy, or sent by the controller. Nothing comes in that answers an ESP ping.
control egress_guard_stage(inout headers_t hdr, inout metadata_t meta) {
    @name(".leave_by") @id(0x0100001E)
    action leave_by(bit<8> role, bit<48> mac) {
        meta.egress_role = (role_t)role;
        hdr.eth.src = mac;
    }

    @name(".no_egress") @id(0x0100001F)
    action no_egress() {
        meta.drop_reason = drop_t.NO_EGRESS;
    }

    @name(".egress_if") @id(0x0200000F)
    table egress_if {
        key = {
            meta.egress_port : exact @name("port");
            meta.egress_vid  : exact @name("vid");
        }
        actions = { leave_by; @defaultonly no_egress; }
        const default_action = no_egress;
        size = SIZE_EGRESS_IF;
    }

    action untag() {
        hdr.vlan.setInvalid();
        hdr.eth.ether_type = meta.ether_type;
    }

    action tag() {
        hdr.vlan.setValid();
        hdr.vlan.pcp = 0;
        hdr.vlan.dei = 0;
        hdr.vlan.vid = meta.egress_vid;
        hdr.vlan.ether_type = meta.ether_type;
        hdr.eth.ether_type = ETHERTYPE_VLAN;
    }

    apply {
        egress_if.apply();
        if (meta.egress_port >= FIRST_RESERVED_PORT) {
            meta.drop_reason = drop_t.NO_EGRESS;
        } else if (meta.egress_role == role_t.UNPROTECTED) {
            if (meta.path == path_t.OPENED) {
                meta.drop_reason = drop_t.HAIRPIN;
            } else if (meta.cleared == 0) {
                meta.drop_reason = drop_t.CLEAR_OUT;
            }
        } else if (hdr.echo.isValid() && meta.path == path_t.HOST
                   && meta.role == role_t.UNPROTECTED) {
            // Who asks in the name of a host behind us must not have it answered.
            meta.drop_reason = drop_t.BAD_ECHO;
        }
        if (meta.egress_vid == 0) {
            untag();
        } else {
            tag();
        }
    }
}
