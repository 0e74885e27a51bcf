// AVX2 + FMA + F16C. 16 registers of 8 lanes: 16 rows x 3 tokens keep 6 sums and 6 totals in
// registers.
#define PYLLM_ISA_NAME avx2
#define PYLLM_ISA_SIMD "simd/avx2.h"
#define PYLLM_ISA_TILE_GROUP 1
#define PYLLM_ISA_TOKEN_GROUP 3
#define PYLLM_ISA_UNROLL
#define PYLLM_ISA_STREAM_INTO kIntoL2
#include "isa/instantiate.h"
