// Pass 1, outbound, transport mode: ESP goes behind the packet's own header (RFC 4303 3.1.1), and the
// protocol field in front of it names it.
#include "esp_family.p4"

control seal_transport_stage(inout headers_t hdr, inout metadata_t meta) {
    bit<8>  protocol;
    bit<16> total_len;

    apply {
        protocol = ESP_FAMILY_PROTOCOL;
        total_len = meta.front_len + meta.esp_headers_len + meta.sealed_len;
        if (meta.format == format_t.PLAIN) {
            BUILD_ESP(hdr.t_esp, hdr.t_esp_iv, hdr.t_esp_long_iv)
        } else if (EESP) {
            BUILD_EESP(hdr.t_eesp, hdr.t_eesp_option, hdr.t_eesp_padding, hdr.t_eesp_seq,
                       hdr.t_esp_iv, hdr.t_tih)
        } else if (meta.format == format_t.PSP) {
            BUILD_PSP(hdr.t_psp, hdr.t_esp_iv, hdr.t_psp_cookie)
        } else {
            BUILD_ESP(hdr.t_esp, hdr.t_esp_iv, hdr.t_esp_long_iv)
            BUILD_FORMAT(hdr.t_esp, hdr.t_esp_low, hdr.t_tih)
        }
        if (meta.wrap != wesp_t.NONE) {
            BUILD_WESP(hdr.t_wesp_marker, hdr.t_wesp, hdr.t_wesp_pad)
        }
        if (meta.udp_encap == 1) {
            BUILD_UDP(hdr.t_udp)
        }
        if (hdr.ip.isValid()) {
            hdr.ip.protocol = protocol;
            hdr.ip.total_len = total_len;
            meta.ip_changed = 1;
        } else {
            hdr.ip6.payload_len = total_len - 40;
            if (hdr.routing.isValid()) {
                hdr.routing.next_header = protocol;
            } else if (hdr.hop_by_hop.isValid()) {
                hdr.hop_by_hop.next_header = protocol;
            } else {
                hdr.ip6.next_header = protocol;
            }
        }
    }
}
