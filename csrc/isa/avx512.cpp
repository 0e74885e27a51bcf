// AVX-512 F/BW/DQ/VL/CD (Skylake-X). 32 registers of 16 lanes: 32 rows x 6 tokens.
#define PYLLM_ISA_NAME avx512
#define PYLLM_ISA_SIMD "simd/avx512.h"
#define PYLLM_ISA_TILE_GROUP 2
#define PYLLM_ISA_TOKEN_GROUP 6
#define PYLLM_ISA_UNROLL
#include "isa/instantiate.h"
