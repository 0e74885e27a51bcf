// Chooses the next token of one R row from its logits.
#ifndef PYLLM_CSRC_SAMPLER_H_
#define PYLLM_CSRC_SAMPLER_H_

#include <cstdint>

#include "columns.h"
#include "sampling/draw.h"

namespace pyllm {

// Order: mask, bias, then the samplers of the row (sampling/order.h), then a draw. Work is linear
// in the vocabulary unless thousands of tokens are kept. A row's result depends on its own logits
// and columns only; log probabilities are those of the logits as the model gave them.
class Sampler {
 public:
  struct RowLogits {
    const float* values;               // [n_vocab]
    const float* tile_maxima;          // [n_vocab / 16] as kernels().tile_max says of them; null:
                                       // nobody has asked it
    const float* processed = nullptr;  // [n_vocab] what to sample from instead, NaN and +infinity
                                       // excluded
  };

  explicit Sampler(int64_t n_vocab) : workspace_(n_vocab) {}

  // Fills row `row` of the result columns. One call at a time per Sampler; allocates nothing.
  // Greedy rows whose maxima are known read little else, the others the tiles of their best tokens.
  void sample(const RowLogits& logits, int64_t row, const SamplingInputs& inputs, Columns* columns);

 private:
  Drawn choose(AdjustedScores* adjusted, int64_t row, const SamplingInputs& inputs,
               Columns* columns);
  void report(const Scores& logits, int64_t row, Columns* columns);

  Workspace workspace_;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLER_H_
