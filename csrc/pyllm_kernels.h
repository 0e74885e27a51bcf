/* The plain C interface of pyllm's kernels: what other languages, cffi and the tests call.
 *
 * Every argument is checked; a function that can fail returns a negative pyllm_status (or, where it
 * says so, -1 or NULL) and leaves the reason in pyllm_last_error(). Nothing aborts and nothing
 * throws. Sizes are in bytes unless named otherwise; matrices are row-major and contiguous. `type`
 * is a ggml type id. Calls are thread-safe except pyllm_select_isa, which must not run beside other
 * calls. */
#ifndef PYLLM_CSRC_PYLLM_KERNELS_H_
#define PYLLM_CSRC_PYLLM_KERNELS_H_

#include <stdint.h>

#if defined(_WIN32)
#define PYLLM_API __declspec(dllexport)
#else
#define PYLLM_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum { PYLLM_ABI_VERSION = 1 };

typedef enum pyllm_status {
  PYLLM_OK = 0,
  PYLLM_BAD_TYPE = -1, /* not a weight type pyllm knows */
  PYLLM_BAD_ARGUMENT =
      -2, /* null pointer, negative or overflowing size, misaligned or short buffer, threads */
  PYLLM_BAD_SHAPE = -3,   /* columns are not a multiple of the type's block */
  PYLLM_NO_ENCODER = -4,  /* the type can be read, not written */
  PYLLM_NO_CODEBOOK = -5, /* pyllm_set_codebook is needed first */
  PYLLM_BAD_VALUE = -6,   /* NaN or Inf where the type cannot hold it; a different codebook */
  PYLLM_BAD_ISA = -7,     /* the instruction set is unknown or this machine lacks it */
  PYLLM_NO_MEMORY = -8    /* neither memory nor another thread to be had */
} pyllm_status;

PYLLM_API int32_t pyllm_abi_version(void);

/* Why the last failing call of this thread failed, as one line; "" before any. Valid until the next
 * failure. */
PYLLM_API const char* pyllm_last_error(void);

/* ---- instruction sets ---- */

/* Name of the active one; NULL when PYLLM_ISA asks for one that cannot be used. */
PYLLM_API const char* pyllm_isa_name(void);
/* Names usable on this machine, best first; NULL from the end of the list on. */
PYLLM_API const char* pyllm_isa_supported(int32_t index);
PYLLM_API int32_t pyllm_select_isa(const char* name);

/* ---- types ---- */

typedef struct pyllm_type {
  int32_t id;
  int32_t block_elems; /* values per block */
  int32_t block_bytes;
  int32_t has_encoder;   /* 0 or 1 */
  int64_t codebook_size; /* int8 values pyllm_set_codebook expects; 0 when the type needs none */
  const char* name;      /* as in GGUF: "Q4_K" */
} pyllm_type;

/* Type ids, in table order; -1 from the end of the list on. */
PYLLM_API int32_t pyllm_type_at(int32_t index);
PYLLM_API int32_t pyllm_type_info(int32_t type, pyllm_type* info);
/* Bytes of a row of `cols` values; -1 when type or cols do not fit or the size overflows. */
PYLLM_API int64_t pyllm_row_bytes(int32_t type, int64_t cols);
/* Value table of an IQ1, IQ2 or IQ3 type, rows concatenated. IQ1_S and IQ1_M share theirs. */
PYLLM_API int32_t pyllm_set_codebook(int32_t type, const int8_t* values, int64_t n);

/* ---- rows of blocks ---- */

/* x: float[rows][cols] -> out: rows of blocks. */
PYLLM_API int32_t pyllm_quantize(int32_t type, const float* x, int64_t rows, int64_t cols,
                                 void* out, int64_t out_bytes, int32_t threads);
/* data: rows of blocks -> out: float[rows][cols]. */
PYLLM_API int32_t pyllm_dequantize(int32_t type, const void* data, int64_t data_bytes, int64_t rows,
                                   int64_t cols, float* out, int64_t out_bytes, int32_t threads);

/* ---- packed weights: tiles of 16 rows, what matmul reads ---- */

/* Bytes of a packed matrix; -1 when type and shape do not fit or the size overflows. */
PYLLM_API int64_t pyllm_packed_bytes(int32_t type, int64_t rows, int64_t cols);
/* data: rows of blocks -> packed, which is 64-byte aligned. */
PYLLM_API int32_t pyllm_pack(int32_t type, const void* data, int64_t data_bytes, int64_t rows,
                             int64_t cols, void* packed, int64_t packed_bytes, int32_t threads);
/* The inverse of pyllm_pack, byte for byte. */
PYLLM_API int32_t pyllm_unpack(int32_t type, const void* packed, int64_t packed_bytes, int64_t rows,
                               int64_t cols, void* data, int64_t data_bytes, int32_t threads);
/* y: float[tokens][rows] = x: float[tokens][cols] times the packed matrix transposed. A result does
 * not depend on the other tokens, on `threads` or on the instruction set. */
PYLLM_API int32_t pyllm_matmul(int32_t type, const void* packed, int64_t packed_bytes, int64_t rows,
                               int64_t cols, const float* x, int64_t tokens, float* y,
                               int32_t threads);

/* ---- GGUF ---- */

/* Walks `count` strings (u64 length, bytes) from data + offset. Returns the position after the
 * last; ends_out[i], when not NULL, is the position after string i. -1 - position of the first
 * string that is longer than max_len or passes `size`; INT64_MIN for impossible arguments. Does not
 * touch pyllm_last_error(). */
PYLLM_API int64_t pyllm_gguf_strings(const uint8_t* data, int64_t size, int64_t offset,
                                     int64_t count, int64_t max_len, int64_t* ends_out);

#ifdef __cplusplus
}
#endif

#endif  // PYLLM_CSRC_PYLLM_KERNELS_H_
