// The 16-lane vocabulary in portable C: the reference that every instruction set must equal bit for
// bit. Included inside a namespace of its own by csrc/isa/scalar.cpp.

struct F32 {
  float v[16];
};
struct I32 {
  int32_t v[16];
};
struct U8 {  // lane r of a line = bytes 4r .. 4r+3
  uint8_t v[64];
};

#define PYLLM_LANES(i) for (int i = 0; i < 16; ++i)
#define PYLLM_BYTES(i) for (int i = 0; i < 64; ++i)

// ---- float ----
static inline F32 f32_set1(float x) {
  F32 r;
  PYLLM_LANES(i) r.v[i] = x;
  return r;
}
static inline F32 f32_zero() { return f32_set1(0.0f); }
static inline F32 f32_load(const float* p) {
  F32 r;
  memcpy(r.v, p, sizeof r.v);
  return r;
}
static inline void f32_store(float* p, F32 a) { memcpy(p, a.v, sizeof a.v); }
static inline F32 f32_load_n(const float* p, int64_t n) {
  F32 r = f32_zero();
  memcpy(r.v, p, static_cast<size_t>(n) * sizeof(float));
  return r;
}
static inline void f32_store_n(float* p, F32 a, int64_t n) {
  memcpy(p, a.v, static_cast<size_t>(n) * sizeof(float));
}
#define PYLLM_F32_BINARY(name, expression) \
  static inline F32 name(F32 a, F32 b) {   \
    F32 r;                                 \
    PYLLM_LANES(i) {                       \
      const float x = a.v[i], y = b.v[i];  \
      r.v[i] = (expression);               \
    }                                      \
    return r;                              \
  }
PYLLM_F32_BINARY(f32_add, x + y)
PYLLM_F32_BINARY(f32_sub, x - y)
PYLLM_F32_BINARY(f32_mul, x* y)
PYLLM_F32_BINARY(f32_div, x / y)
PYLLM_F32_BINARY(f32_max, x > y ? x : y)  // the second operand when unordered, as maxps
PYLLM_F32_BINARY(f32_min, x < y ? x : y)
#undef PYLLM_F32_BINARY
static inline F32 f32_fma(F32 a, F32 b, F32 c) {
  F32 r;
  PYLLM_LANES(i) r.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return r;
}
static inline F32 f32_fnma(F32 a, F32 b, F32 c) {
  F32 r;
  PYLLM_LANES(i) r.v[i] = __builtin_fmaf(-a.v[i], b.v[i], c.v[i]);
  return r;
}
static inline F32 f32_abs(F32 a) {
  PYLLM_LANES(i) a.v[i] = __builtin_fabsf(a.v[i]);
  return a;
}
static inline F32 f32_sqrt(F32 a) {
  PYLLM_LANES(i) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
static inline F32 f32_load_f16(const uint16_t* p) {
  F32 r;
  PYLLM_LANES(i) r.v[i] = half_to_float(p[i]);
  return r;
}
static inline void f32_store_f16(uint16_t* p, F32 a) {
  PYLLM_LANES(i) p[i] = float_to_half(a.v[i]);
}
static inline F32 f32_load_bf16(const uint16_t* p) {
  F32 r;
  PYLLM_LANES(i) r.v[i] = bf16_to_float(p[i]);
  return r;
}
static inline F32 f32_from_i32(I32 a) {
  F32 r;
  PYLLM_LANES(i) r.v[i] = static_cast<float>(a.v[i]);
  return r;
}
// Nearest even; out of range and NaN give INT32_MIN, as cvtps2dq.
static inline I32 f32_round_to_i32(F32 a) {
  I32 r;
  PYLLM_LANES(i) {
    const float x = a.v[i];
    r.v[i] = x >= -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(__builtin_rintf(x))
                                                      : INT32_MIN;
  }
  return r;
}
// x * 2^n for n in [-126, 127]: the factor is built from its exponent bits.
static inline F32 f32_scale_pow2(F32 a, I32 n) {
  PYLLM_LANES(i) a.v[i] *= float_from_bits(static_cast<uint32_t>(n.v[i] + 127) << 23);
  return a;
}
// Fixed tree: lanes i + (i+8), then +4, +2, +1.
static inline float f32_reduce_add(F32 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] = a.v[i] + a.v[i + half];
  return a.v[0];
}
static inline float f32_reduce_max(F32 a) {
  for (int half = 8; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a.v[i] = a.v[i] > a.v[i + half] ? a.v[i] : a.v[i + half];
  return a.v[0];
}

// ---- int32 ----
static inline I32 i32_set1(int32_t x) {
  I32 r;
  PYLLM_LANES(i) r.v[i] = x;
  return r;
}
static inline I32 i32_zero() { return i32_set1(0); }
static inline I32 i32_load(const void* p) {
  I32 r;
  memcpy(r.v, p, sizeof r.v);
  return r;
}
static inline void i32_store(void* p, I32 a) { memcpy(p, a.v, sizeof a.v); }
// Unsigned arithmetic: wraps like the vector instructions, without signed overflow.
#define PYLLM_I32_BINARY(name, expression)              \
  static inline I32 name(I32 a, I32 b) {                \
    I32 r;                                              \
    PYLLM_LANES(i) {                                    \
      const uint32_t x = static_cast<uint32_t>(a.v[i]); \
      const uint32_t y = static_cast<uint32_t>(b.v[i]); \
      r.v[i] = static_cast<int32_t>(expression);        \
    }                                                   \
    return r;                                           \
  }
PYLLM_I32_BINARY(i32_add, x + y)
PYLLM_I32_BINARY(i32_sub, x - y)
PYLLM_I32_BINARY(i32_mul, x* y)
PYLLM_I32_BINARY(i32_and, x& y)
PYLLM_I32_BINARY(i32_or, x | y)
#undef PYLLM_I32_BINARY
template <int kBits>
static inline I32 i32_shl(I32 a) {
  PYLLM_LANES(i) a.v[i] = static_cast<int32_t>(static_cast<uint32_t>(a.v[i]) << kBits);
  return a;
}
template <int kBits>
static inline I32 i32_shr(I32 a) {
  PYLLM_LANES(i) a.v[i] = static_cast<int32_t>(static_cast<uint32_t>(a.v[i]) >> kBits);
  return a;
}
template <int kBits>
static inline I32 i32_sar(I32 a) {
  PYLLM_LANES(i) a.v[i] >>= kBits;
  return a;
}

static inline int32_t i32_reduce_add(I32 a) {
  uint32_t sum = 0;
  PYLLM_LANES(i) sum += static_cast<uint32_t>(a.v[i]);
  return static_cast<int32_t>(sum);
}
static inline void i32_store_s8(int8_t* p, I32 a) {
  PYLLM_LANES(i) p[i] = static_cast<int8_t>(a.v[i]);
}
static inline void i32_store_u16(uint16_t* p, I32 a) {
  PYLLM_LANES(i) p[i] = static_cast<uint16_t>(a.v[i]);
}
// Lane i = the 4 bytes at base + i * stride.
static inline I32 i32_gather(const uint8_t* base, int32_t stride) {
  I32 r;
  PYLLM_LANES(i) memcpy(&r.v[i], base + static_cast<int64_t>(i) * stride, 4);
  return r;
}
static inline I32 i32_load_u8(const uint8_t* p) {
  I32 r;
  PYLLM_LANES(i) r.v[i] = p[i];
  return r;
}
static inline I32 i32_load_u16(const uint8_t* p) {
  I32 r;
  PYLLM_LANES(i) r.v[i] = p[2 * i] | p[2 * i + 1] << 8;
  return r;
}
static inline F32 f32_from_bits(I32 a) {
  F32 r;
  memcpy(r.v, a.v, sizeof r.v);
  return r;
}
static inline I32 i32_xor(I32 a, I32 b) {
  PYLLM_LANES(i) a.v[i] ^= b.v[i];
  return a;
}

// ---- lines of 64 bytes ----
static inline U8 u8_load(const void* p) {
  U8 r;
  memcpy(r.v, p, sizeof r.v);
  return r;
}
static inline U8 u8_set1(uint8_t x) {
  U8 r;
  PYLLM_BYTES(i) r.v[i] = x;
  return r;
}
static inline U8 u8_and(U8 a, U8 b) {
  PYLLM_BYTES(i) a.v[i] = a.v[i] & b.v[i];
  return a;
}
static inline U8 u8_or(U8 a, U8 b) {
  PYLLM_BYTES(i) a.v[i] = a.v[i] | b.v[i];
  return a;
}
// Bits that cross into a neighbouring byte are garbage on other instruction sets: mask afterwards.
static inline U8 u8_shr(U8 a, int bits) {
  PYLLM_BYTES(i) a.v[i] = static_cast<uint8_t>(a.v[i] >> bits);
  return a;
}
static inline U8 u8_shl(U8 a, int bits) {
  PYLLM_BYTES(i) a.v[i] = static_cast<uint8_t>(a.v[i] << bits);
  return a;
}

static inline void u8_store(void* p, U8 a) { memcpy(p, a.v, sizeof a.v); }
// Byte i of the result = table[i-th byte of `index`], which is below 16.
static inline U8 u8_lookup(const uint8_t* table, U8 index) {
  PYLLM_BYTES(i) index.v[i] = table[index.v[i]];
  return index;
}

// ---- dot products: exact, lane r of the sum grows by 4 byte (or 2 word) products ----
template <int kBits>
struct Dot {
  using Sum = I32;
  static constexpr int kRun = 0;  // sums of 32 bits: never to be widened
  static constexpr bool kSigned = false;
  static inline I32 add(I32 sum, U8 w, int32_t a4) {
    int8_t a[4];
    memcpy(a, &a4, sizeof a);
    PYLLM_LANES(i) {
      int32_t dot = 0;
      for (int j = 0; j < 4; ++j) dot += static_cast<int32_t>(w.v[4 * i + j]) * a[j];
      sum.v[i] = static_cast<int32_t>(static_cast<uint32_t>(sum.v[i]) + static_cast<uint32_t>(dot));
    }
    return sum;
  }
};
static inline I32 dot_i16(I32 acc, I32 w_pairs, int32_t a_pair) {
  int16_t a[2], w[2];
  memcpy(a, &a_pair, sizeof a);
  PYLLM_LANES(i) {
    memcpy(w, &w_pairs.v[i], sizeof w);
    acc.v[i] += static_cast<int32_t>(w[0]) * a[0] + static_cast<int32_t>(w[1]) * a[1];
  }
  return acc;
}

#undef PYLLM_LANES
#undef PYLLM_BYTES
