// Anti-replay subspaces, and sub-child SAs (several sequence counters in one SA). Our layout: the
// SPI, 16 bits of subspace, and a counter of 48 bits, of which all is authenticated and, where the
// cipher has one, is the implicit IV. With one key for all subspaces the number never repeats,
// for the subspace is a part of it.
//
//    SPI (32) | subspace (16) | counter (48) | [IV] | payload, padding, trailer | ICV
#ifndef P4ESP_FORMAT_SUBSPACES
#define P4ESP_FORMAT_SUBSPACES

// A reply's number is whole; from here on meta.seq is the counter alone.
#define DESCRIBE_SUBSPACES \
    meta.extra_len = 4; \
    meta.aad_len = 12; \
    if (meta.path == path_t.OPEN) { \
        meta.whole_seq = 1; \
        meta.sub = meta.seq_lo[31:16]; \
        meta.seq = 16w0 ++ meta.seq_lo[15:0] ++ meta.seq_after; \
    } else if (meta.path != path_t.SEAL) { \
        if (meta.seq[63:48] != meta.sub) { \
            meta.drop_reason = drop_t.STALE_SA; \
        } \
        meta.seq = 16w0 ++ meta.seq[47:0]; \
    }

// To the wire and to the engine the number is whole.
#define NUMBER_SUBSPACE \
    meta.seq = meta.sub ++ meta.seq[47:0];

#define BUILD_SUBSPACE(esp, esp_low) \
    (esp).seq = meta.seq[63:32]; \
    (esp_low).setValid(); \
    (esp_low).seq_low = meta.seq[31:0];

// The engine is given the number as it stands in the packet.
#define WHOLE_NUMBER \
    (meta.format == format_t.SUBSPACES ? meta.sub ++ meta.seq[47:0] : meta.seq)

#endif
