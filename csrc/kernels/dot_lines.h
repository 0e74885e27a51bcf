// Integer dot products of a register tile. Included per instruction set.
//
// Dot<kBits> of the vocabulary multiplies unsigned weights below 2^kBits with signed bytes. Where
// the machine has an instruction that sums into 32 bits, kRun is 0 and every step adds to the
// result; elsewhere kRun steps fit a 16-bit sum, which is then widened.

// dot[r][t] += sum over kGroups lines of 16 rows x 4 columns. weights(r, group) is the line;
// act[t] the bytes of its first column.
template <int kBits, int kGroups, int R, int T, class Weights>
static PYLLM_INLINE void add_dots(const Weights& weights, const int8_t* const (&act)[T],
                                  I32 (&dot)[R][T]) {
  using D = Dot<kBits>;
  constexpr int kStep = D::kRun == 0 || D::kRun > kGroups ? kGroups : D::kRun;
  PYLLM_UNROLL for (int first = 0; first < kGroups; first += kStep) {
    typename D::Sum sum[R][T];
    PYLLM_UNROLL for (int i = 0; i < kStep; ++i) {
      const int group = first + i;
      U8 w[R];
      PYLLM_UNROLL for (int r = 0; r < R; ++r) w[r] = weights(r, group);
      PYLLM_UNROLL for (int t = 0; t < T; ++t) {
        const int32_t a = load_i32(act[t] + 4 * group);
        PYLLM_UNROLL for (int r = 0; r < R; ++r) {
          if constexpr (D::kRun == 0)
            dot[r][t] = D::add(dot[r][t], w[r], a);
          else
            sum[r][t] = i == 0 ? D::start(w[r], a) : D::add(sum[r][t], w[r], a);
        }
      }
    }
    if constexpr (D::kRun != 0) {
      PYLLM_UNROLL for (int t = 0; t < T; ++t) PYLLM_UNROLL for (int r = 0; r < R; ++r) dot[r][t] =
          i32_add(dot[r][t], D::widen(sum[r][t]));
    }
  }
}
