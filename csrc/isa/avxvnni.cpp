// AVX2 with the VEX-encoded VNNI dot product (Alder Lake, Zen 5).
#define PYLLM_ISA_NAME avxvnni
#define PYLLM_ISA_SIMD "simd/avx2.h"
#define PYLLM_ISA_TILE_GROUP 1
#define PYLLM_ISA_TOKEN_GROUP 3
#define PYLLM_ISA_UNROLL
#include "isa/instantiate.h"
