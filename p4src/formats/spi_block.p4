// Sub-child SAs without a change on the wire: consecutive SPIs belong to one SA, each with a
// sequence space and a key of its own. Table sad tells which sub an SPI is.
#ifndef P4ESP_FORMAT_SPI_BLOCK
#define P4ESP_FORMAT_SPI_BLOCK

#define DESCRIBE_SPI_BLOCK \
    if (meta.path == path_t.SEAL || meta.path == path_t.SEALED) { \
        meta.spi = meta.spi + (bit<32>)meta.sub; \
    }

#endif
