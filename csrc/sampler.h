// Chooses the next token of one R row from its logits.
#ifndef PYLLM_CSRC_SAMPLER_H_
#define PYLLM_CSRC_SAMPLER_H_

#include <cstdint>

#include "columns.h"
#include "runtime/memory.h"

namespace pyllm {

// Order: mask, penalties, bias, [greedy], temperature, top_k, top_p, min_p, draw. Work is linear in
// the vocabulary unless top_p or min_p keeps more than a few thousand tokens. A row's result
// depends on its own logits and columns only; log probabilities are those of the logits as the
// model gave them.
class Sampler {
 public:
  explicit Sampler(int64_t n_vocab);

  // Fills row `row` of the result columns. One call at a time per Sampler; allocates nothing.
  // tile_maxima [n_vocab / 16] is what kernels().tile_max says of the logits, null when nobody has
  // asked it: greedy rows then read little else, the others the tiles of their best tokens.
  void sample(const float* logits, const float* tile_maxima, int64_t row, const History& history,
              const LogitBias& bias, const TokenMasks& masks, Columns* columns);

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  static bool is_better(const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);  // the lowest id wins ties
  }

  // Logits of a row, or what mask, penalties and bias made of them. A tile whose maximum is
  // -infinity holds no possible token, and its values are not there: most masks allow few tokens,
  // and their rows cost what those tokens cost.
  struct Scores {
    const float* values;       // [n_vocab]
    const float* tile_maxima;  // [n_vocab / 16]
    float max;
  };
  struct Stretch {
    int64_t begin, end;  // elements
  };

  Scores adjust(const Scores& logits, int64_t row, const History& history, const LogitBias& bias,
                const TokenMask& mask, const Columns& columns);
  void copy_allowed(const Scores& logits, const TokenMask& mask);
  void refresh_tile(int64_t token);
  int32_t choose(const Scores& scores, int64_t row, const Columns& columns);
  int32_t best(const Scores& scores) const;
  Stretch next_stretch(const Scores& scores, int64_t from) const;
  double exp_sum(const Scores& scores, float scale, float* terms) const;
  int32_t draw_any(const Scores& scores, float scale, double u);
  int64_t collect_top(const Scores& scores, int64_t k);
  int64_t collect_from(const Scores& scores, float least);
  void fill_block_maxima(const Scores& scores);
  float mass_floor(const Scores& scores, float scale, double mass);
  double weigh_candidates(int64_t n, float max, float scale);
  int64_t count_kept(int64_t n, double mass, float min_p) const;
  int64_t truncate(const Scores& scores, float scale, int64_t row, const Columns& columns);
  void report(const Scores& logits, int64_t row, Columns* columns);

  const int64_t n_vocab_;
  Buffer memory_;
  float* adjusted_;         // [n_vocab] logits after mask, penalties and bias
  float* terms_;            // [n_vocab] e^(logit - max), and other scratch
  float* block_maxima_;     // [n_vocab / 64]
  float* tile_maxima_;      // [n_vocab / 16] of the logits when the caller has none
  float* adjusted_maxima_;  // [n_vocab / 16] of adjusted_
  Candidate* candidates_;   // [n_vocab] best first
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLER_H_
