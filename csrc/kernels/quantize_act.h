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

static void quantize_block8x32(const float* x, int64_t n, ActBlock8x32* block) {
  for (int i = 0; i < n / 32; ++i) {
    int32_t sums[2];
    block->d[i] = quantize_block(x + 32 * i, 32, block->q + 32 * i, sums);
    block->bias8[i] = -8 * (sums[0] + sums[1]);
    block->sum[i] = block->d[i] * static_cast<float>(sums[0] + sums[1]);
  }
}

static inline int32_t square_sum(const int8_t* q) {  // of 128
  int32_t sum = 0;
  for (int i = 0; i < 128; ++i) sum += q[i] * q[i];
  return sum;
}

static void quantize_block256(const float* x, ActBlock256* block) {
  int32_t sums[16];
  for (int half = 0; half < 2; ++half) {
    block->d[half] = quantize_block(x + 128 * half, 128, block->q + 128 * half, sums + 8 * half);
    block->square[half] = square_sum(block->q + 128 * half);
  }
  for (int i = 0; i < 16; ++i) {
    block->sum16[i] = static_cast<int16_t>(sums[i]);
    block->bias16[i] = -32 * sums[i];
  }
  for (int i = 0; i < 8; ++i) block->sum32[i] = static_cast<int16_t>(sums[2 * i] + sums[2 * i + 1]);
}

static void quantize_act(ActKind kind, const float* x, int64_t cols, uint8_t* first_block,
                         int64_t block_stride) {
  switch (kind) {
    case kActF32:
      memcpy(first_block, x, static_cast<size_t>(cols) * sizeof(float));
      break;
    case kActQ8x32:
      for (int64_t k = 0; k < cols; k += 256)
        quantize_block8x32(x + k, cols - k < 256 ? cols - k : 256,
                           reinterpret_cast<ActBlock8x32*>(first_block + k / 256 * block_stride));
      break;
    case kActQ8x128:
      for (int64_t i = 0; i < cols / 256; ++i)
        quantize_block256(x + 256 * i,
                          reinterpret_cast<ActBlock256*>(first_block + i * block_stride));
      break;
  }
}
