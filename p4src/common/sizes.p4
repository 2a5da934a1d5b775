// Table and register sizes: a contract with the controller, kept in one place.
#ifndef P4ESP_SIZES
#define P4ESP_SIZES

#define SIZE_PORT_ROLE     1024
#define SIZE_EGRESS_IF     1024
#define SIZE_LOCAL_V4      1024
#define SIZE_LOCAL_V6      1024
#define SIZE_IKE_SA        65536
#define SIZE_SPD           4096
#define SIZE_SA_SELECT     131072
#define SIZE_IN_CLASS      4096      // code points of inbound SAs with a class
#define SIZE_SA_MEMBER     65536     // members of SA sets: 256 buckets each
#define SIZE_SA            65536     // SAs a direction
#define SIZE_SAD           65536
#define SIZE_DIET_PEER     4096
#define SIZE_IN_POLICY     4096
#define SIZE_LABEL         4096
#define SIZE_ROUTE_V4      65536
#define SIZE_ROUTE_V6      65536
#define SIZE_NEIGHBOUR     65536
#define SIZE_NEIGHBOUR_V6  65536

// Octets that a body_t holds; with the header behind it and the ICV; and of those the payload.
#define BODY_MAX           8192
#define TAIL_MAX           8224
#define TAIL_PAYLOAD_MAX   8188

#define SPACES             65536     // sequence spaces a direction
#define REPLAY_CELLS       524288
#define DROP_REASONS       80
#define PUNT_REASONS       16
// Meters: a set for the unprotected side, and one for all that can be trusted more.
#define PUNT_METERS        32
#define OUTCOMES           8
// Cells that one SCRUB_CELLS message clears at most.
#define SCRUB_CELLS_MAX    16

#endif
