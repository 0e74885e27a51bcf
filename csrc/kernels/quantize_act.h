// Activations to int8 with one float scale per 32 or 128 elements, and the block sums that undo
// weight offsets. Included per instruction set. Every instruction set gives the same bytes: see
// docs/how-it-works.md, arithmetic.

// 127.49 steps to the largest value, which still rounds to 127: 0.4 % less error than 127 steps,
// for nothing.
constexpr float kActSteps = 127.49f;

// Quantises n = 32 or 128 elements; returns the scale. A non-finite input makes the scale NaN, so
// that it shows in the result instead of disappearing. Blocks below 1e-30 become zero: their
// scale's inverse would overflow.
static inline float quantize_block(const float* x, int64_t n, int8_t* q, int32_t* sums16) {
  F32 largest = f32_zero(), poison = f32_zero();
  for (int64_t i = 0; i < n; i += 16) {
    const F32 v = f32_load(x + i);
    largest = f32_max(f32_abs(v), largest);
    poison = f32_fma(v, f32_zero(), poison);  // stays 0 unless v is infinite or NaN
  }
  const float amax = f32_reduce_max(largest);
  const float clean = f32_reduce_add(poison);
  const bool usable = clean == 0.0f && amax >= 1e-30f;
  const F32 inverse = f32_set1(usable ? kActSteps / amax : 0.0f);
  for (int64_t i = 0; i < n; i += 16) {
    const F32 scaled = usable ? f32_mul(f32_load(x + i), inverse) : f32_zero();
    const I32 rounded = f32_round_to_i32(scaled);
    i32_store_s8(q + i, rounded);
    sums16[i / 16] = i32_reduce_add(rounded);
  }
  return usable ? amax / kActSteps : clean;
}

static void quantize_q8x32(const float* x, int64_t cols, uint8_t* record) {
  auto* q = reinterpret_cast<int8_t*>(record);
  auto* d = reinterpret_cast<float*>(record + cols);
  auto* sum32 = reinterpret_cast<int32_t*>(d + cols / 32);
  for (int64_t b = 0; b < cols / 32; ++b) {
    int32_t sums[2];
    d[b] = quantize_block(x + 32 * b, 32, q + 32 * b, sums);
    sum32[b] = sums[0] + sums[1];
  }
}

static void quantize_q8x128(const float* x, int64_t cols, uint8_t* record) {
  auto* q = reinterpret_cast<int8_t*>(record);
  auto* d = reinterpret_cast<float*>(record + cols);
  auto* sum32 = reinterpret_cast<int16_t*>(d + cols / 128);
  auto* bias16 = reinterpret_cast<int32_t*>(sum32 + cols / 32);
  for (int64_t b = 0; b < cols / 128; ++b) {
    int32_t sums[8];
    d[b] = quantize_block(x + 128 * b, 128, q + 128 * b, sums);
    for (int i = 0; i < 4; ++i)
      sum32[4 * b + i] = static_cast<int16_t>(sums[2 * i] + sums[2 * i + 1]);
    for (int i = 0; i < 8; ++i) bias16[8 * b + i] = -32 * sums[i];
  }
}

static void quantize_act(ActKind kind, const float* x, int64_t cols, void* record) {
  switch (kind) {
    case kActF32:
      memcpy(record, x, static_cast<size_t>(cols) * sizeof(float));
      break;
    case kActQ8x32:
      quantize_q8x32(x, cols, static_cast<uint8_t*>(record));
      break;
    case kActQ8x128:
      quantize_q8x128(x, cols, static_cast<uint8_t*>(record));
      break;
  }
}
