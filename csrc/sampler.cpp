#include "sampler.h"

#include <algorithm>
#include <cmath>

#include "isa/select.h"
#include "philox.h"
#include "sampling/min_p.h"
#include "sampling/mirostat.h"
#include "sampling/order.h"
#include "sampling/penalties.h"
#include "sampling/temperature.h"
#include "sampling/top_n_sigma.h"
#include "sampling/top_p.h"
#include "sampling/typical_p.h"
#include "sampling/xtc.h"

namespace pyllm {
namespace {

void apply(Step step, int64_t row, const SamplingInputs& inputs, const Columns& c, Selection* s) {
  const auto r = static_cast<size_t>(row);
  const bool extended = c.sampler_order[r] != 0;  // else the columns of the rest hold anything
  const int64_t min_keep = extended ? c.min_keep[r] : 0;
  switch (step) {
    case Step::kPenalties:
      penalise(inputs.history, row, c, s->adjusted());
      return s->reload();
    case Step::kDry:
      add_bias(inputs.dry, row, s->adjusted());
      return s->reload();
    case Step::kTopNSigma:
      return apply_top_n_sigma(s, c.top_n_sigma[r]);
    case Step::kTopK:
      if (c.top_k[r] > 0 && c.top_k[r] < s->n_vocab()) s->keep_best(c.top_k[r]);
      return;
    case Step::kTypicalP:
      return apply_typical_p(s, c.typical_p[r], min_keep);
    case Step::kTopP:
      return apply_top_p(s, c.top_p[r], min_keep);
    case Step::kMinP:
      return apply_min_p(s, c.min_p[r], min_keep);
    case Step::kXtc: {
      const double chance =
          uniform(c.seed[r], static_cast<uint64_t>(c.rng_position[r]), RandomStream::kXtc);
      return apply_xtc(s, c.xtc_probability[r], c.xtc_threshold[r], min_keep, chance);
    }
    case Step::kTemperature:
      return apply_temperature(s, c.temperature[r], extended ? c.dynatemp_range[r] : 0.0f,
                               c.dynatemp_exponent[r]);
    case Step::kMirostatV1:
      return apply_mirostat_v1(s, c.mirostat_mu[r]);
    case Step::kMirostatV2:
      return apply_mirostat_v2(s, c.mirostat_mu[r]);
    case Step::kEnd:
    case Step::kCount:
      return;
  }
}

}  // namespace

void Sampler::sample(const RowLogits& logits, int64_t row, const SamplingInputs& inputs,
                     Columns* columns) {
  const auto r = static_cast<size_t>(row);
  columns->sampled[r] = -1;
  columns->logprob[r] = std::numeric_limits<float>::quiet_NaN();
  columns->status[r] = kNotFinite;
  std::fill_n(columns->top_ids.begin() + row * kMaxLogprobs, kMaxLogprobs, -1);
  std::fill_n(columns->top_logprobs.begin() + row * kMaxLogprobs, kMaxLogprobs, -kInf);
  const float* tile_maxima = logits.tile_maxima;
  if (tile_maxima == nullptr) {
    kernels().tile_max(logits.values, workspace_.n_vocab, workspace_.tile_maxima);
    tile_maxima = workspace_.tile_maxima;
  }
  bool finite = false;
  const float max = kernels().row_max(tile_maxima, workspace_.n_tiles(), &finite);
  if (!finite) return;
  const Scores raw{logits.values, tile_maxima, max};
  columns->status[r] = kSampled;
  if (columns->deferred[r] != 0 && logits.processed == nullptr) return;
  if (columns->target[r] >= 0) {
    columns->sampled[r] = columns->target[r];
  } else {
    AdjustedScores adjusted(raw, workspace_);
    if (logits.processed != nullptr) adjusted.replace(logits.processed);
    columns->sampled[r] = choose(&adjusted, row, inputs, columns).token;
  }
  if (columns->sampled[r] < 0) {
    columns->status[r] = kNothingAllowed;
  } else if (columns->n_logprobs[r] >= 0) {
    report(raw, row, columns);
  }
}

Drawn Sampler::choose(AdjustedScores* adjusted, int64_t row, const SamplingInputs& inputs,
                      Columns* columns) {
  const auto r = static_cast<size_t>(row);
  if (const TokenMask mask = inputs.masks.of(row); mask.exists()) adjusted->restrict_to(mask);
  add_bias(inputs.bias, row, adjusted);
  Selection selection(adjusted, workspace_);
  const uint64_t order = columns->sampler_order[r] == 0 ? kDefaultOrder : columns->sampler_order[r];
  for (uint64_t rest = order; rest != 0; rest >>= 4) {
    if (!selection.whole() && selection.n() <= 1) break;
    apply(static_cast<Step>(rest & 15), row, inputs, *columns, &selection);
  }
  const Drawn drawn =
      draw(&selection, uniform(columns->seed[r], static_cast<uint64_t>(columns->rng_position[r]),
                               RandomStream::kDraw));
  // A function of the row alone, and unused without mirostat.
  columns->mirostat_next[r] = next_mu(columns->mirostat_mu[r], columns->mirostat_tau[r],
                                      columns->mirostat_eta[r], drawn.weight, drawn.total);
  return drawn;
}

// Log probabilities and rank of the sampled token, and the best n_logprobs tokens.
void Sampler::report(const Scores& logits, int64_t row, Columns* columns) {
  const auto r = static_cast<size_t>(row);
  const int32_t token = columns->sampled[r];
  const double log_sum =
      logits.max + std::log(static_cast<double>(kernels().exp_sum(logits.values, workspace_.n_vocab,
                                                                  logits.max, 1.0f, nullptr)));
  columns->log_sum[r] = log_sum;
  columns->logprob[r] = static_cast<float>(logits.values[token] - log_sum);
  columns->rank[r] = rank_of(logits, workspace_, token);
  if (columns->n_logprobs[r] == 0) return;
  const int64_t wanted = std::min<int64_t>(columns->n_logprobs[r], workspace_.n_vocab);
  const int64_t n = collect_top(logits, workspace_, wanted);
  for (int64_t i = 0; i < n; ++i) {
    columns->top_ids[static_cast<size_t>(row * kMaxLogprobs + i)] = workspace_.candidates[i].id;
    columns->top_logprobs[static_cast<size_t>(row * kMaxLogprobs + i)] =
        static_cast<float>(workspace_.candidates[i].logit - log_sum);
  }
}

}  // namespace pyllm
