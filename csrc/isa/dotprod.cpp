// 64-bit Arm with the four-way dot product (Cortex-A76, Neoverse N1, Apple A13 and later).
#define PYLLM_ISA_NAME dotprod
#define PYLLM_ISA_SIMD "simd/neon.h"
#define PYLLM_ISA_TILE_GROUP 1
#define PYLLM_ISA_TOKEN_GROUP 4
#define PYLLM_ISA_UNROLL
#include "isa/instantiate.h"
