// Is it for us, and for which part of us? IKE goes to the controller only from here, so a
// packet that merely passes by on port 500 is ordinary traffic.
#include "echo.p4"
#include "fragment.p4"

control local_stage(inout headers_t hdr, inout metadata_t meta) {
    echo_stage()     echo;
    fragment_stage() fragment;

    bit<16> payload_len;

    @name(".is_local") @id(0x01000003)
    action is_local(bit<16> local_id, bit<1> proxied) {
        meta.local = 1;
        meta.proxied = proxied;
        meta.local_id = local_id;
    }

    // Diet-ESP: some peer of ours may send it compressed.
    @name(".is_local_diet") @id(0x01000048)
    action is_local_diet(bit<16> local_id, bit<1> proxied) {
        meta.local = 1;
        meta.proxied = proxied;
        meta.local_id = local_id;
        meta.diet_local = 1;
    }

    @name(".not_local") @id(0x01000004)
    action not_local() {}

    @name(".local_v4") @id(0x02000002)
    table local_v4 {
        key = { hdr.ip.dst : exact @name("dst"); }
        actions = { is_local; is_local_diet; @defaultonly not_local; }
        const default_action = not_local;
        size = SIZE_LOCAL_V4;
    }

    @name(".local_v6") @id(0x02000011)
    table local_v6 {
        key = { hdr.ip6.dst : exact @name("dst"); }
        actions = { is_local; is_local_diet; @defaultonly not_local; }
        const default_action = not_local;
        size = SIZE_LOCAL_V6;
    }

    @name(".known_ike") @id(0x01000005)
    action known_ike() {
        meta.known_ike = 1;
    }

    @name(".unknown_ike") @id(0x01000006)
    action unknown_ike() {}

    @name(".ike_sa") @id(0x02000003)
    table ike_sa {
        key = { meta.ike_local_spi : exact @name("local_spi"); }
        actions = { known_ike; @defaultonly unknown_ike; }
        const default_action = unknown_ike;
        size = SIZE_IKE_SA;
    }

    action punt(punt_t reason) {
        meta.path = path_t.PUNT;
        meta.punt = reason;
    }

    // A UDP length may be less than what the IP packet holds (RFC 768): it counts.
    action accept_esp() {
        meta.path = path_t.OPEN;
        meta.esp_len = (meta.l4 == l4_t.ESP_UDP || meta.l4 == l4_t.WESP_UDP
                        || meta.l4 == l4_t.PSP ? meta.udp_len : payload_len) - meta.encap_len;
    }

    apply {
        if (hdr.ip.isValid()) {
            local_v4.apply();
        } else {
            local_v6.apply();
        }
        if (meta.local == 1 && meta.path == path_t.PLAIN) {
            payload_len = meta.ip_len - meta.l4_offset;
            if (meta.role != role_t.UNPROTECTED) {
                if (meta.proxied == 0) {
                    punt(punt_t.LOCAL);
                }
            } else if (meta.segments_left != 0) {
                // RFC 8200 4.4: its way does not end here, and we are no stop on the way of others.
                if (meta.proxied == 0) {
                    meta.drop_reason = drop_t.BAD_OUTER;
                }
            } else if ((hdr.ip.isValid() && (hdr.ip.mf == 1 || hdr.ip.frag_offset != 0)
                        || meta.fragment == 1)
                       && (meta.proxied == 0 || meta.l4_protocol == PROTO_ESP
                           || meta.l4_protocol == PROTO_WESP
                           || meta.l4_protocol == PROTO_TAIL
                           || meta.l4_protocol == PROTO_EESP)) {
                meta.drop_reason = drop_t.OUTER_FRAGMENT;
                fragment.apply(hdr, meta);
            } else if (meta.l4 == l4_t.IKE) {
                ike_sa.apply();
                if (meta.known_ike == 1) {
                    punt(punt_t.IKE_KNOWN);
                } else if (meta.ike_new == 1) {
                    punt(punt_t.IKE_NEW);
                } else {
                    punt(punt_t.IKE_OTHER);
                }
            } else if (meta.l4 == l4_t.KEEPALIVE) {
                meta.drop_reason = drop_t.KEEPALIVE;
            } else if (meta.l4 == l4_t.NATT_RUNT) {
                meta.drop_reason = drop_t.RUNT;
            } else if (meta.l4 == l4_t.ESP || meta.l4 == l4_t.ESP_UDP
                       || meta.l4 == l4_t.WESP || meta.l4 == l4_t.WESP_UDP
                       || meta.l4 == l4_t.TAIL || meta.l4 == l4_t.EESP
                       || meta.l4 == l4_t.PSP) {
                accept_esp();
            } else if (meta.l4 == l4_t.ECHO && meta.proxied == 0) {
                echo.apply(hdr, meta);
            } else if (meta.l4 == l4_t.ECHOED && meta.proxied == 0) {
                punt(punt_t.ECHO);
            } else if (meta.proxied == 0
                       && (meta.l4_protocol == PROTO_ICMP && meta.sport == 0x0304
                           || meta.l4_protocol == PROTO_ICMPV6 && meta.sport[15:8] == 2)) {
                // RFC 4301 8.2: whether it is believed is for the controller to say.
                punt(punt_t.PATH_MTU);
            }
            // Anything else goes the way of clear traffic: policy decides (RFC 4301 5.2).
        }
    }
}
