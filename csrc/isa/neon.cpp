// 64-bit Arm without further extensions. 32 registers, four a line: 16 rows x 3 tokens.
#define PYLLM_ISA_NAME neon
#define PYLLM_ISA_SIMD "simd/neon.h"
#define PYLLM_ISA_TILE_GROUP 1
#define PYLLM_ISA_TOKEN_GROUP 3
#define PYLLM_ISA_UNROLL
#include "isa/instantiate.h"
