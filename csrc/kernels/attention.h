// Attention of a few query rows over one chunk of up to 256 tokens of one KV head. Included per
// instruction set.
//
// Arithmetic, the same for every number of rows, tile shape and instruction set:
//   score[r][t] = fma over d ascending of q[r][d] * k[t][d]        lanes are tokens
//   max[r], sum[r] = over the visible scores of the chunk           p = 2^(score - max)
//   out[r][j] = fma over t ascending of p[r][t] * v[t][j]           lanes are dimensions
// Tokens a row may not see are never multiplied, so their bytes cannot reach its result.

// Rows [row, row + rows) of a row group; tables turn the row count into a template argument.
struct RowGroup {
  int64_t row;
  int rows;
  int64_t min_hidden, max_hidden, min_visible, max_visible;
};

// Splits the rows into groups of at most 6, as even as possible.
static int64_t make_groups(const AttentionArgs* a, RowGroup* groups) {
  const int64_t n_groups = (a->n_rows + kMaxTileRows - 1) / kMaxTileRows;
  for (int64_t i = 0; i < n_groups; ++i) {
    const int64_t row = a->n_rows * i / n_groups, next = a->n_rows * (i + 1) / n_groups;
    groups[i] = {row,
                 static_cast<int>(next - row),
                 a->n_hidden[row],
                 a->n_hidden[next - 1],
                 a->n_visible[row],
                 a->n_visible[next - 1]};
  }
  return n_groups;
}

// The first panel of which a row sees something: those before it are never read.
static inline int64_t first_panel(const RowGroup& g) { return g.min_hidden / kPanelTokens; }

// Scores of one group for panels [first, first + n).
template <typename Element>
static void score_group(const AttentionArgs* a, const RowGroup& g, const Element* const* panels,
                        int64_t first, int64_t n) {
  using Function = void (*)(const float*, int64_t, const Element* const*, int64_t, float*);
  static constexpr Function kByRows[kMaxTileRows] = {
      score_tiles<1, Element>, score_tiles<2, Element>, score_tiles<3, Element>,
      score_tiles<4, Element>, score_tiles<5, Element>, score_tiles<6, Element>};
  kByRows[g.rows - 1](a->q + g.row * a->k_dim, a->k_dim, panels, n,
                      a->scores + g.row * kAttentionChunk + 16 * first);
}

static inline int64_t between(int64_t low, int64_t n, int64_t high) {
  return n < low ? low : n > high ? high : n;
}

// Adds the tokens [begin, end) of `panels` to dimensions [first_dim, first_dim + 16 n_vectors) of
// one group.
template <typename Element>
static void value_group(const AttentionArgs* a, const RowGroup& g, int64_t begin, int64_t end,
                        const Element* const* panels, int64_t stride, int64_t first_dim,
                        int64_t n_vectors) {
  using Function = void (*)(ValueSpan<Element>, int64_t, float*, int64_t);
  static constexpr Function kByRows[kMaxTileRows] = {
      value_tiles<1, Element>, value_tiles<2, Element>, value_tiles<3, Element>,
      value_tiles<4, Element>, value_tiles<5, Element>, value_tiles<6, Element>};
  const int64_t first = between(begin, g.min_hidden, end);
  const int64_t last = between(first, g.max_visible, end);
  if (first == last) return;
  const int64_t shared_begin = between(first, g.max_hidden, last);
  const int64_t shared_end = between(shared_begin, g.min_visible, last);
  const bool fresh = begin <= g.min_hidden;
  const ValueSpan<Element> span = {a->scores + g.row * kAttentionChunk,
                                   first,
                                   shared_begin,
                                   shared_end,
                                   last,
                                   a->n_hidden + g.row,
                                   a->n_visible + g.row,
                                   fresh,
                                   panels,
                                   0,
                                   stride};
  kByRows[g.rows - 1](span, n_vectors, a->out + g.row * a->v_stride + first_dim, a->v_stride);
}

// Turns the scores of one row into weights; sets its max and sum. Two running maxima hide half of
// the latency of the first pass.
static void softmax_row(const AttentionArgs* a, int64_t row) {
  const int64_t n = a->n_visible[row], whole = n / 16 * 16;
  const int64_t hidden = a->n_hidden[row], begin = hidden / 16 * 16;
  float* s = a->scores + row * kAttentionChunk;
  for (int64_t i = begin; i < hidden; ++i) s[i] = -__builtin_inff();
  for (int64_t i = n; i % 16 != 0; ++i) s[i] = -__builtin_inff();
  F32 even = f32_load(s + begin), odd = even;
  int64_t i = begin + 16;
  for (; i + 16 < n; i += 32) {
    even = f32_max(even, f32_load(s + i));
    odd = f32_max(odd, f32_load(s + i + 16));
  }
  if (i < n) even = f32_max(even, f32_load(s + i));
  const float max = f32_reduce_max(f32_max(even, odd));
  const F32 largest = f32_set1(max);
  F32 sum = f32_zero();
  i = begin;
  if (hidden > begin) {  // 2^-inf is not 0 here: see f32_exp2_nonpositive
    f32_store(s + i, f32_exp2_nonpositive(f32_sub(f32_load(s + i), largest)));
    for (int64_t j = begin; j < hidden; ++j) s[j] = 0.0f;
    sum = f32_load_n(s + i, n - i < 16 ? n - i : 16);
    i += 16;
  }
  for (; i < whole; i += 16) {
    const F32 weight = f32_exp2_nonpositive(f32_sub(f32_load(s + i), largest));
    f32_store(s + i, weight);
    sum = f32_add(sum, weight);
  }
  if (i < n) {
    f32_store(s + i, f32_exp2_nonpositive(f32_sub(f32_load(s + i), largest)));
    sum = f32_add(sum, f32_load_n(s + i, n - i));
  }
  a->max[row] = max;
  a->sum[row] = f32_reduce_add(sum);
}

// Scores from decoded panels: 4 at a time are converted to float once for all groups.
static void score_groups(const AttentionArgs* a, const RowGroup* groups, int64_t n_groups) {
  for (int64_t first = first_panel(groups[0]); first < a->n_panels; first += kMaxTileVectors) {
    const int64_t left = a->n_panels - first;
    const int64_t n_panels = left < kMaxTileVectors ? left : kMaxTileVectors;
    const float* converted[kMaxTileVectors] = {};
    for (int64_t p = 0; p < n_panels; ++p) {
      float* panel = a->tile + p * 16 * a->k_dim;
      const uint16_t* const* from = a->panels + first + p;
      load_keys(a->k_type, from[0], a->k_dim, from[kPanelsAhead], panel);
      converted[p] = panel;
    }
    for (int64_t i = 0; i < n_groups; ++i) {
      const int64_t seen = (groups[i].max_visible + 15) / 16 - first;
      if (seen > 0) score_group(a, groups[i], converted, first, seen < n_panels ? seen : n_panels);
    }
  }
}

// Weighted values from decoded panels: 64 tokens x 64 dimensions are converted to float once for
// all groups.
static void value_groups(const AttentionArgs* a, const RowGroup* groups, int64_t n_groups) {
  const uint16_t* const* panels = a->panels + a->n_panels;
  const int64_t n_tokens = groups[n_groups - 1].max_visible, n_vectors = a->v_stride / 16;
  for (int64_t vector = 0; vector < n_vectors; vector += kMaxTileVectors) {
    const int64_t left = n_vectors - vector;
    const int64_t width = 16 * (left < kMaxTileVectors ? left : kMaxTileVectors);
    for (int64_t begin = kPanelTokens * first_panel(groups[0]); begin < n_tokens; begin += 64) {
      const int64_t end = n_tokens - begin < 64 ? n_tokens : begin + 64;
      const float* converted[kAttentionChunk / 16];
      for (int64_t t = begin; t < end; t += kPanelTokens) {
        const int64_t n = end - t < kPanelTokens ? end - t : kPanelTokens;
        const uint16_t* const* from = panels + t / kPanelTokens;
        float* value = a->tile + (t - begin) * width;
        load_values(a->v_type, from[0], {a->v_stride, n, 16 * vector, width}, from[kPanelsAhead],
                    value);
        converted[t / kPanelTokens] = value;
      }
      for (int64_t i = 0; i < n_groups; ++i) {
        value_group(a, groups[i], begin, end, converted, width, 16 * vector, width / 16);
      }
    }
  }
}

// One group of f16 is read straight from the cache, each element once; everything else goes through
// float tiles.
static void attention_chunk(const AttentionArgs* a) {
  RowGroup groups[kAttentionRows];
  const int64_t n_groups = make_groups(a, groups);
  if (n_groups == 1 && a->k_type == kKvF16) {
    const int64_t first = first_panel(groups[0]);
    score_group(a, groups[0], a->panels + first, first, a->n_panels - first);
  } else {
    score_groups(a, groups, n_groups);
  }
  for (int64_t row = 0; row < a->n_rows; ++row) {
    if (a->n_visible[row] > a->n_hidden[row]) softmax_row(a, row);
  }
  if (n_groups == 1 && a->v_type == kKvF16) {
    value_group(a, groups[0], 0, kAttentionChunk, a->panels + a->n_panels, a->v_stride, 0,
                a->v_stride / 16);
  } else {
    value_groups(a, groups, n_groups);
  }
}

// (max, sum, out[n]) of earlier chunks absorbs the next chunk's, in this order of operations.
static void attention_merge(float* max, float* sum, float* out, float next_max, float next_sum,
                            const float* next_out, int64_t n) {
  const float both = *max > next_max ? *max : next_max;
  float exponents[16] = {*max - both, next_max - both};
  f32_store(exponents, f32_exp2_nonpositive(f32_load(exponents)));
  const F32 keep = f32_set1(exponents[0]), add = f32_set1(exponents[1]);
  for (int64_t i = 0; i < n; i += 16) {
    f32_store(out + i, f32_fma(f32_load(next_out + i), add, f32_mul(f32_load(out + i), keep)));
  }
  *sum = *sum * exponents[0] + next_sum * exponents[1];
  *max = both;
}

// dst[n] = out / sum, n need not be a multiple of 16.
static void attention_finish(const float* out, float sum, float* dst, int64_t n) {
  const F32 divisor = f32_set1(sum);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) f32_store(dst + i, f32_div(f32_load(out + i), divisor));
  if (i < n) f32_store_n(dst + i, f32_div(f32_load_n(out + i, n - i), divisor), n - i);
}
