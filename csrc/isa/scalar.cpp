// Portable C: the reference every other instruction set must equal.
#define PYLLM_ISA_NAME scalar
#define PYLLM_ISA_SIMD "simd/scalar.h"
#define PYLLM_ISA_TILE_GROUP 1
#define PYLLM_ISA_TOKEN_GROUP 1
#include "isa/instantiate.h"
