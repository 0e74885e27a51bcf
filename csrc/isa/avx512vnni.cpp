// AVX-512 with the VNNI dot product: Cascade Lake, Ice Lake, Zen 4 and later.
#define PYLLM_ISA_NAME avx512vnni
#define PYLLM_ISA_SIMD "simd/avx512.h"
#define PYLLM_ISA_TILE_GROUP 2
#define PYLLM_ISA_TOKEN_GROUP 6
#define PYLLM_ISA_UNROLL
#define PYLLM_ISA_STREAM_INTO kIntoL2
#define PYLLM_ISA_STREAM_TILES 8
#include "isa/instantiate.h"
