// 64-bit Arm with the int8 matrix extension: its dot product takes one unsigned side (Neoverse V1,
// Cortex-A710, Apple M2 and later).
#define PYLLM_ISA_NAME i8mm
#define PYLLM_ISA_SIMD "simd/neon.h"
#define PYLLM_ISA_TILE_GROUP 1
#define PYLLM_ISA_TOKEN_GROUP 4
#define PYLLM_ISA_UNROLL
#include "isa/instantiate.h"
