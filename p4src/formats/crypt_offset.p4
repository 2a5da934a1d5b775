// Encryption offset: the first octets of the payload, as many as the SA says, travel in clear and are
// authenticated. Our layout: the AAD runs from the SPI to the text, the IV included.
//
//    SPI | sequence number | [IV] | payload in clear | encrypted: payload, padding, trailer | ICV
//
// With the trailer in front of the payload (trailer_in_header.p4, shown) even the type of the payload
// can be read on the way. With nothing shown the packet is that of RFC 4303.
#ifndef P4ESP_FORMAT_CRYPT_OFFSET
#define P4ESP_FORMAT_CRYPT_OFFSET

#define DESCRIBE_CRYPT_OFFSET \
    if (meta.shown != 0) { \
        meta.extra_len = meta.shown; \
        meta.text_more = 0 - meta.shown; \
        meta.text_flags = CX_FLAG_TRAILER | CX_FLAG_SHOWN; \
    }

#endif
