// AVX-512 with VNNI, VBMI and BF16 (Ice Lake with BF16, Zen 4 and later).
#define PYLLM_ISA_NAME avx512vnni
#define PYLLM_ISA_SIMD "simd/avx512.h"
#define PYLLM_ISA_TILE_GROUP 2
#define PYLLM_ISA_TOKEN_GROUP 6
#define PYLLM_ISA_UNROLL
#include "isa/instantiate.h"
