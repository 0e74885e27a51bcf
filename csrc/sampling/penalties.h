// What is added to the scores of single tokens, and the penalties of tokens seen before.
#ifndef PYLLM_CSRC_SAMPLING_PENALTIES_H_
#define PYLLM_CSRC_SAMPLING_PENALTIES_H_

#include "columns.h"
#include "sampling/adjusted.h"

namespace pyllm {

// Adds the values a row brings for single tokens: logit bias, or DRY's penalties.
inline void add_bias(const LogitBias& bias, int64_t row, AdjustedScores* scores) {
  if (bias.offsets == nullptr || bias.offsets[row] == bias.offsets[row + 1]) return;
  float* values = scores->values();
  for (int64_t i = bias.offsets[row]; i < bias.offsets[row + 1]; ++i) {
    values[bias.tokens[i]] += bias.values[i];
  }
  for (int64_t i = bias.offsets[row]; i < bias.offsets[row + 1]; ++i) {
    scores->refresh(bias.tokens[i]);
  }
  scores->update_max();
}

// Repetition (Keskar et al. 2019: divide, or multiply what is negative), frequency and presence.
inline void penalise(const History& history, int64_t row, const Columns& columns,
                     AdjustedScores* scores) {
  const auto r = static_cast<size_t>(row);
  const float repetition = columns.repetition_penalty[r];
  const float frequency = columns.frequency_penalty[r], presence = columns.presence_penalty[r];
  if (repetition == 1.0f && frequency == 0.0f && presence == 0.0f) return;
  if (history.offsets == nullptr || history.offsets[row] == history.offsets[row + 1]) return;
  float* values = scores->values();
  for (int64_t i = history.offsets[row]; i < history.offsets[row + 1]; ++i) {
    float& logit = values[history.tokens[i]];
    const auto count = static_cast<float>(history.output_counts[i]);
    logit = logit > 0.0f ? logit / repetition : logit * repetition;
    if (count > 0.0f) logit -= frequency * count + presence;
  }
  for (int64_t i = history.offsets[row]; i < history.offsets[row + 1]; ++i) {
    scores->refresh(history.tokens[i]);
  }
  scores->update_max();
}

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_PENALTIES_H_
