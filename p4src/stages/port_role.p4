// What is this port for, and what is our MAC address there? A port and VLAN that nobody
// configured carries nothing.
control port_role_stage(inout headers_t hdr, inout metadata_t meta) {
    bool injected;

    @name(".set_role") @id(0x01000001)
    action set_role(bit<8> role, bit<48> mac) {
        meta.role = (role_t)role;
        meta.own_mac = mac;
    }

    // Of a gateway some of whose hosts have labels (stages/label.p4).
    @name(".set_role_labelled") @id(0x01000058)
    action set_role_labelled(bit<8> role, bit<48> mac) {
        meta.role = (role_t)role;
        meta.own_mac = mac;
        meta.labelled = 1;
    }

    @name(".no_role") @id(0x01000002)
    action no_role() {
        meta.drop_reason = drop_t.NO_ROLE;
    }

    @name(".port_role") @id(0x02000001)
    table port_role {
        key = {
            meta.ingress_port : exact @name("ingress_port");
            meta.vid          : exact @name("vid");
        }
        actions = { set_role; set_role_labelled; @defaultonly no_role; }
        const default_action = no_role;
        size = SIZE_PORT_ROLE;
    }

    apply {
        injected = false;
        if (meta.ingress_port == CPU_PORT && hdr.packet_out.isValid()
            && hdr.packet_out.op == OUT_INJECT) {
            injected = true;
            meta.ingress_port = hdr.packet_out.port[8:0];
            meta.frame_len = meta.frame_len - 20;
        } else if (meta.ingress_port == CPU_PORT) {
            // A tag there belongs to the frame inside a packet-out.
            meta.vid = 0;
        }
        port_role.apply();
        if (injected && hdr.packet_out.port >= (bit<16>)FIRST_RESERVED_PORT) {
            // Neither the engine nor the controller comes in that way.
            meta.drop_reason = drop_t.BAD_PACKET_OUT;
        }
    }
}
