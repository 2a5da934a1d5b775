// Pass 1, outbound: the headers in front of the sealed packet. The sequence number is already
// taken: nothing here drops.
#include "esp_family.p4"
#include "../formats/header_in_trailer.p4"
#include "../formats/diet_compress.p4"

control seal_stage(inout headers_t hdr, inout metadata_t meta) {
    seal_transport_stage() seal_transport;
    outer_header_stage()   outer_header;
    seal_request_stage()   seal_request;
    diet_compress_stage()  diet_compress;

    apply {
        if (meta.format == format_t.SUBSPACES) {
            NUMBER_SUBSPACE
        }
        if (meta.mode == mode_t.TRANSPORT) {
            seal_transport.apply(hdr, meta);
        } else {
            if (meta.format == format_t.PLAIN) {
                BUILD_ESP(hdr.esp, hdr.esp_iv, hdr.esp_long_iv)
            } else if (meta.format == format_t.HEADER_IN_TRAILER) {
                BUILD_FRONT(hdr.front)
            } else if (EESP) {
                BUILD_EESP(hdr.eesp, hdr.eesp_option, hdr.eesp_padding, hdr.eesp_seq,
                           hdr.esp_iv, hdr.tih)
            } else if (meta.format == format_t.PSP) {
                BUILD_PSP(hdr.psp, hdr.esp_iv, hdr.psp_cookie)
            } else {
                BUILD_ESP(hdr.esp, hdr.esp_iv, hdr.esp_long_iv)
                BUILD_FORMAT(hdr.esp, hdr.esp_low, hdr.tih)
            }
            if (meta.wrap != wesp_t.NONE) {
                BUILD_WESP(hdr.wesp_marker, hdr.wesp, hdr.wesp_pad)
            }
            if (meta.udp_encap == 1) {
                BUILD_UDP(hdr.outer_udp)
            }
            outer_header.apply(hdr, meta);
            if (meta.format == format_t.DIET) {
                diet_compress.apply(hdr, meta);
            }
        }
        seal_request.apply(hdr, meta);
    }
}
