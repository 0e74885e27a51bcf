// Attention of a few query rows over one chunk of up to 256 tokens of one KV head. Included per
// instruction set.
//
// Arithmetic, the same for every number of rows, tile shape and instruction set:
//   score[r][t] = fma over d ascending of q[r][d] * k[t][d]        lanes are tokens
//   max[r], sum[r] = over the visible scores of the chunk           p = e^(score - max)
//   out[r][j] = fma over t ascending of p[r][t] * v[t][j]           lanes are dimensions
// Tokens a row may not see are never multiplied, so their bytes cannot reach its result.

// Rows [row, row + rows) of a row group; the tables turn the row count into a template argument.
struct RowGroup {
  int64_t row;
  int rows;
  int64_t min_visible, max_visible;
};

template <typename Element>
static void score_group(const AttentionArgs* a, const RowGroup& g, const Element* const* panels,
                        int64_t first_panel, int64_t n_panels) {
  const float* q = a->q + g.row * a->k_dim;
  float* scores = a->scores + g.row * kAttentionChunk + 16 * first_panel;
  for (int64_t p = 0; p < n_panels; p += tile_vectors(g.rows)) {
    switch (g.rows) {
      case 1:
        score_tile<1>(q, a->k_dim, panels + p, scores + 16 * p);
        break;
      case 2:
        score_tile<2>(q, a->k_dim, panels + p, scores + 16 * p);
        break;
      case 3:
        score_tile<3>(q, a->k_dim, panels + p, scores + 16 * p);
        break;
      case 4:
        score_tile<4>(q, a->k_dim, panels + p, scores + 16 * p);
        break;
      case 5:
        score_tile<5>(q, a->k_dim, panels + p, scores + 16 * p);
        break;
      default:
        score_tile<6>(q, a->k_dim, panels + p, scores + 16 * p);
        break;
    }
  }
}

template <typename Element>
static void value_rows(const AttentionArgs* a, int64_t row, int rows, int64_t begin, int64_t end,
                       const Element* const* panels, int64_t panel_offset, int64_t panel_stride,
                       int64_t first_dim, int64_t n_vectors) {
  if (begin >= end) return;
  const float* p = a->scores + row * kAttentionChunk;
  const int64_t stride = a->v_stride;
  float* out = a->out + row * stride + first_dim;
  const Element* const* v = panels;
  const int64_t o = panel_offset, s = panel_stride, n = n_vectors;
  switch (rows) {
    case 1:
      value_tiles<1>(p, begin, end, v, o, s, n, out, stride);
      break;
    case 2:
      value_tiles<2>(p, begin, end, v, o, s, n, out, stride);
      break;
    case 3:
      value_tiles<3>(p, begin, end, v, o, s, n, out, stride);
      break;
    case 4:
      value_tiles<4>(p, begin, end, v, o, s, n, out, stride);
      break;
    case 5:
      value_tiles<5>(p, begin, end, v, o, s, n, out, stride);
      break;
    default:
      value_tiles<6>(p, begin, end, v, o, s, n, out, stride);
      break;
  }
}

// Tokens [begin, end) for one group: together while all rows see the token, then each row its own
// rest.
template <typename Element>
static void value_group(const AttentionArgs* a, const RowGroup& g, int64_t begin, int64_t end,
                        const Element* const* panels, int64_t panel_offset, int64_t panel_stride,
                        int64_t first_dim, int64_t n_vectors) {
  const int64_t shared = g.min_visible < end ? g.min_visible : end;
  value_rows(a, g.row, g.rows, begin, shared, panels, panel_offset, panel_stride, first_dim,
             n_vectors);
  for (int64_t row = g.row; row < g.row + g.rows; ++row) {
    const int64_t from = shared > begin ? shared : begin;
    const int64_t to = a->n_visible[row] < end ? a->n_visible[row] : end;
    value_rows(a, row, 1, from, to, panels, panel_offset, panel_stride, first_dim, n_vectors);
  }
}

// Turns the scores of one row into weights; sets its max and sum.
static void softmax_row(const AttentionArgs* a, int64_t row) {
  const int64_t n = a->n_visible[row];
  float* s = a->scores + row * kAttentionChunk;
  for (int64_t i = n; i % 16 != 0; ++i) s[i] = -__builtin_inff();
  F32 largest = f32_load(s);
  for (int64_t i = 16; i < n; i += 16) largest = f32_max(largest, f32_load(s + i));
  const float max = f32_reduce_max(largest);
  F32 sum = f32_zero();
  for (int64_t i = 0; i < n; i += 16) {
    f32_store(s + i, f32_exp(f32_sub(f32_load(s + i), f32_set1(max))));
    sum = f32_add(sum, n - i >= 16 ? f32_load(s + i) : f32_load_n(s + i, n - i));
  }
  a->max[row] = max;
  a->sum[row] = f32_reduce_add(sum);
}

// Splits the rows into groups of at most 6, as even as possible.
static int64_t make_groups(const AttentionArgs* a, RowGroup* groups) {
  const int64_t n_groups = (a->n_rows + kMaxTileRows - 1) / kMaxTileRows;
  for (int64_t i = 0; i < n_groups; ++i) {
    const int64_t row = a->n_rows * i / n_groups, next = a->n_rows * (i + 1) / n_groups;
    RowGroup g = {row, static_cast<int>(next - row), kAttentionChunk, 0};
    for (int64_t r = row; r < next; ++r) {
      const int64_t n = a->n_visible[r];
      g.min_visible = n < g.min_visible ? n : g.min_visible;
      g.max_visible = n > g.max_visible ? n : g.max_visible;
    }
    groups[i] = g;
  }
  return n_groups;
}

static int64_t most_visible(const RowGroup* groups, int64_t n_groups) {
  int64_t most = 0;
  for (int64_t i = 0; i < n_groups; ++i)
    most = groups[i].max_visible > most ? groups[i].max_visible : most;
  return most;
}

// Scores of all groups, 4 panels at a time. With several groups the panels are converted to float
// once; panels past the last visible token stand for the last one, their scores are never read.
static void score_chunk(const AttentionArgs* a, const RowGroup* groups, int64_t n_groups) {
  const int64_t n_panels = (most_visible(groups, n_groups) + 15) / 16;
  for (int64_t first = 0; first < n_panels; first += kMaxTileVectors) {
    const uint16_t* halves[kMaxTileVectors];
    const float* floats[kMaxTileVectors];
    for (int64_t p = 0; p < kMaxTileVectors; ++p) {
      halves[p] = a->key_panels[first + p < n_panels ? first + p : n_panels - 1];
      float* converted = a->tile + p * 16 * a->k_dim;
      floats[p] = converted;
      if (n_groups == 1) continue;
      for (int64_t i = 0; i < 16 * a->k_dim; i += 16)
        f32_store(converted + i, f32_load_f16(halves[p] + i));
    }
    for (int64_t i = 0; i < n_groups; ++i) {
      const int64_t group_panels = (groups[i].max_visible + 15) / 16 - first;
      const int64_t n = group_panels < kMaxTileVectors ? group_panels : kMaxTileVectors;
      if (n_groups == 1) {
        score_group(a, groups[i], halves, first, n);
      } else {
        score_group(a, groups[i], floats, first, n);
      }
    }
  }
}

// Weighted values of all groups. With several groups, 64 tokens x 64 dimensions are converted at a
// time.
static void value_chunk(const AttentionArgs* a, const RowGroup* groups, int64_t n_groups) {
  const int64_t n_tokens = most_visible(groups, n_groups), n_vectors = a->v_stride / 16;
  if (n_groups == 1) {
    value_group(a, groups[0], 0, n_tokens, a->value_panels, 0, a->v_stride, 0, n_vectors);
    return;
  }
  for (int64_t vector = 0; vector < n_vectors; vector += kMaxTileVectors) {
    const int64_t width =
        n_vectors - vector < kMaxTileVectors ? n_vectors - vector : kMaxTileVectors;
    for (int64_t begin = 0; begin < n_tokens; begin += 64) {
      const int64_t end = n_tokens - begin < 64 ? n_tokens : begin + 64;
      const float* panels[kAttentionChunk / 16];
      for (int64_t t = begin; t < end; ++t) {
        const uint16_t* v = a->value_panels[t / 16] + t % 16 * a->v_stride + 16 * vector;
        float* converted = a->tile + (t - begin) * 16 * width;
        if (t % 16 == 0) panels[t / 16] = converted;
        for (int64_t j = 0; j < width; ++j) f32_store(converted + 16 * j, f32_load_f16(v + 16 * j));
      }
      for (int64_t i = 0; i < n_groups; ++i) {
        value_group(a, groups[i], begin, end, panels, 0, 16 * width, 16 * vector, width);
      }
    }
  }
}

static void attention_chunk(const AttentionArgs* a) {
  RowGroup groups[kAttentionRows];
  const int64_t n_groups = make_groups(a, groups);
  if (most_visible(groups, n_groups) == 0) return;
  score_chunk(a, groups, n_groups);
  for (int64_t row = 0; row < a->n_rows; ++row) {
    if (a->n_visible[row] > 0) softmax_row(a, row);
  }
  value_chunk(a, groups, n_groups);
}

// (max, sum, out[n]) of earlier chunks absorbs the next chunk's, in this order of operations.
static void attention_merge(float* max, float* sum, float* out, float next_max, float next_sum,
                            const float* next_out, int64_t n) {
  const float both = *max > next_max ? *max : next_max;
  float exponents[16] = {*max - both, next_max - both};
  f32_store(exponents, f32_exp(f32_load(exponents)));
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
