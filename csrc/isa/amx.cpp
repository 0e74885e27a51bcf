// AMX tile registers beside AVX-512 with VNNI: Sapphire Rapids and later.
#define PYLLM_ISA_NAME amx
#define PYLLM_ISA_SIMD "simd/avx512.h"
#define PYLLM_ISA_TILE_GROUP 2
#define PYLLM_ISA_TOKEN_GROUP 6
#define PYLLM_ISA_UNROLL
#define PYLLM_ISA_TILES
#include "isa/instantiate.h"
