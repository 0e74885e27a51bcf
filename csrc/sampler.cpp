#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "isa/select.h"
#include "philox.h"

namespace pyllm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr int64_t kBlock = 64;  // elements under one block maximum
// What top_p and min_p try first.
constexpr int64_t kFewCandidates = 128, kMoreCandidates = 1024;
constexpr double kAll = std::numeric_limits<double>::infinity();  // a mass no row reaches
constexpr float kLowest = std::numeric_limits<float>::lowest();

int64_t n_blocks(int64_t n) { return (n + kBlock - 1) / kBlock; }

size_t scratch_bytes(int64_t n_vocab) {
  return static_cast<size_t>(n_vocab * 16 + n_blocks(n_vocab) * 4);
}

}  // namespace

Sampler::Sampler(int64_t n_vocab)
    : n_vocab_(n_vocab),
      memory_(scratch_bytes(n_vocab)),
      adjusted_(memory_.as<float>()),
      terms_(adjusted_ + n_vocab),
      block_maxima_(terms_ + 3 * n_vocab),
      candidates_(reinterpret_cast<Candidate*>(terms_ + n_vocab)) {}

void Sampler::sample(const float* logits, int64_t row, const History& history,
                     const LogitBias& bias, Columns* columns) {
  const auto r = static_cast<size_t>(row);
  columns->sampled[r] = -1;
  columns->logprob[r] = std::numeric_limits<float>::quiet_NaN();
  columns->status[r] = 1;
  std::fill_n(columns->top_ids.begin() + row * kMaxLogprobs, kMaxLogprobs, -1);
  std::fill_n(columns->top_logprobs.begin() + row * kMaxLogprobs, kMaxLogprobs, -kInf);
  bool finite = false;
  const float max = kernels().row_max(logits, n_vocab_, &finite);
  if (!finite) return;
  const float* adjusted = adjust(logits, row, history, bias, *columns);
  bool ignored = false;
  const float adjusted_max =
      adjusted == logits ? max : kernels().row_max(adjusted, n_vocab_, &ignored);
  columns->sampled[r] = choose(adjusted, adjusted_max, row, *columns);
  if (columns->sampled[r] < 0) return;  // the bias forbids every token
  columns->status[r] = 0;
  report(logits, max, row, columns);
}

// The logits themselves when the row has neither penalties nor bias, else a changed copy.
const float* Sampler::adjust(const float* logits, int64_t row, const History& history,
                             const LogitBias& bias, const Columns& columns) {
  const auto r = static_cast<size_t>(row);
  const float repetition = columns.repetition_penalty[r];
  const float frequency = columns.frequency_penalty[r], presence = columns.presence_penalty[r];
  const bool penalised = history.offsets != nullptr &&
                         history.offsets[row] < history.offsets[row + 1] &&
                         (repetition != 1.0f || frequency != 0.0f || presence != 0.0f);
  const bool biased = bias.offsets != nullptr && bias.offsets[row] < bias.offsets[row + 1];
  if (!penalised && !biased) return logits;
  std::copy(logits, logits + n_vocab_, adjusted_);
  for (int64_t i = penalised ? history.offsets[row] : 0; penalised && i < history.offsets[row + 1];
       ++i) {
    float& logit = adjusted_[history.tokens[i]];
    const auto count = static_cast<float>(history.output_counts[i]);
    logit = logit > 0.0f ? logit / repetition : logit * repetition;
    if (count > 0.0f) logit -= frequency * count + presence;
  }
  for (int64_t i = biased ? bias.offsets[row] : 0; biased && i < bias.offsets[row + 1]; ++i) {
    adjusted_[bias.tokens[i]] += bias.values[i];
  }
  return adjusted_;
}

// -1 when no token is possible.
int32_t Sampler::choose(const float* logits, float max, int64_t row, const Columns& columns) {
  const auto r = static_cast<size_t>(row);
  const float temperature = columns.temperature[r];
  if (temperature == 0.0f) {
    const float* best = std::find(logits, logits + n_vocab_, max);  // the lowest id wins ties
    return best == logits + n_vocab_ ? -1 : static_cast<int32_t>(best - logits);
  }
  const float scale = std::min(1.0f / temperature, std::numeric_limits<float>::max());
  const double u = uniform(columns.seed[r], static_cast<uint64_t>(columns.rng_position[r]));
  const bool truncated = columns.top_k[r] > 0 || columns.top_p[r] < 1.0f || columns.min_p[r] > 0.0f;
  if (!truncated) return draw_any(logits, max, scale, u);
  const int64_t n = truncate(logits, max, scale, row, columns);
  double total = 0.0, reached = 0.0;
  for (int64_t i = 0; i < n; ++i) total += terms_[i];
  for (int64_t i = 0; i < n; ++i) {
    reached += terms_[i];
    if (reached > u * total || i == n - 1) return candidates_[i].id;
  }
  return -1;
}

// A draw from the whole vocabulary, cumulated in the order of ids.
int32_t Sampler::draw_any(const float* logits, float max, float scale, double u) {
  kernels().exp_sum(logits, n_vocab_, max, scale, terms_);
  double total = 0.0, reached = 0.0;
  for (int64_t i = 0; i < n_vocab_; ++i) total += terms_[i];
  int32_t last = -1;
  for (int64_t i = 0; i < n_vocab_; ++i) {
    if (logits[i] == -kInf) continue;
    last = static_cast<int32_t>(i);
    reached += terms_[i];
    if (reached > u * total) break;
  }
  return last;
}

// candidates_[0 .. n) become the k best tokens in order; returns n = min(k, tokens above
// -infinity). k blocks hold an element at least as large as the k-th largest block maximum, so
// nothing below that maximum can be among the k best: for k = 40 of 128k it leaves about 50 tokens
// to sort.
int64_t Sampler::collect_top(const float* logits, int64_t k) {
  const int64_t blocks = n_blocks(n_vocab_);
  kernels().block_max(logits, n_vocab_, block_maxima_);
  float least = kLowest;
  if (k < blocks) {
    std::copy(block_maxima_, block_maxima_ + blocks, terms_);
    std::nth_element(terms_, terms_ + k - 1, terms_ + blocks, std::greater<>());
    least = std::max(least, terms_[k - 1]);
  }
  int64_t n = collect_from(logits, least);
  if (n > k) {
    std::nth_element(candidates_, candidates_ + k, candidates_ + n, is_better);
    n = k;
  }
  std::sort(candidates_, candidates_ + n, is_better);
  return n;
}

// All tokens whose logit is at least `least`, in no order; block_maxima_ must be filled.
int64_t Sampler::collect_from(const float* logits, float least) {
  int64_t n = 0;
  for (int64_t b = 0; b < n_blocks(n_vocab_); ++b) {
    if (block_maxima_[b] < least) continue;
    const int64_t end = std::min(kBlock * (b + 1), n_vocab_);
    for (int64_t i = kBlock * b; i < end; ++i) {
      if (logits[i] >= least) candidates_[n++] = {logits[i], static_cast<int32_t>(i)};
    }
  }
  return n;
}

// A logit above which the tokens together weigh about `mass`, without sorting: weights are added up
// in 1,024 steps of 1/32 below the maximum. Only a hint; rounding may leave it a little short.
float Sampler::mass_floor(const float* logits, float max, float scale, double mass) {
  constexpr int kSteps = 1024;
  constexpr float kStepsPerUnit = 32.0f;
  double weights[kSteps] = {};
  kernels().exp_sum(logits, n_vocab_, max, scale, terms_);
  for (int64_t i = 0; i < n_vocab_; ++i) {
    const float below = (max - logits[i]) * scale * kStepsPerUnit;
    weights[below < kSteps - 1 ? static_cast<int>(below) : kSteps - 1] += terms_[i];
  }
  int step = 0;
  for (double reached = weights[0]; reached < mass && step < kSteps - 1; ++step) {
    reached += weights[step + 1];
  }
  if (step >= kSteps - 2) return kLowest;
  return max - static_cast<float>(step + 2) / kStepsPerUnit / scale;
}

// Applies top_k, top_p and min_p: candidates_[0 .. n) and terms_[0 .. n) are what may be drawn.
// Without top_k the best 128 and 1,024 tokens are tried first, then as many as the mass asks for.
int64_t Sampler::truncate(const float* logits, float max, float scale, int64_t row,
                          const Columns& columns) {
  const auto r = static_cast<size_t>(row);
  const double top_p = columns.top_p[r];
  const float min_p = columns.min_p[r];
  if (columns.top_k[r] > 0 && columns.top_k[r] < n_vocab_) {
    const int64_t n = collect_top(logits, columns.top_k[r]);
    const double total = weigh_candidates(n, max, scale);
    return count_kept(n, top_p < 1.0 ? top_p * total : kAll, min_p);
  }
  double mass = kAll;
  if (top_p < 1.0) mass = top_p * kernels().exp_sum(logits, n_vocab_, max, scale, nullptr);
  for (const int64_t k : {kFewCandidates, kMoreCandidates}) {
    if (k >= n_vocab_) break;
    const int64_t n = collect_top(logits, k);
    weigh_candidates(n, max, scale);
    const int64_t kept = count_kept(n, mass, min_p);
    if (kept < n) return kept;
  }
  kernels().block_max(logits, n_vocab_, block_maxima_);
  float least = top_p < 1.0 ? mass_floor(logits, max, scale, mass) : kLowest;
  if (min_p > 0.0f) least = std::max(least, max + (std::log(min_p) - 0.1f) / scale);
  for (;; least = kLowest) {
    const int64_t n = collect_from(logits, least);
    std::sort(candidates_, candidates_ + n, is_better);
    weigh_candidates(n, max, scale);
    const int64_t kept = count_kept(n, mass, min_p);
    if (kept < n || least == kLowest) return kept;
  }
}

// terms_[i] = weight of candidate i; returns their sum.
double Sampler::weigh_candidates(int64_t n, float max, float scale) {
  for (int64_t i = 0; i < n; ++i) terms_[i] = candidates_[i].logit;
  return kernels().exp_sum(terms_, n, max, scale, terms_);
}

// Candidates, best first, until they weigh `mass` or fall below min_p; at least one.
int64_t Sampler::count_kept(int64_t n, double mass, float min_p) const {
  int64_t kept = 0;
  for (double reached = 0.0; kept < n; ++kept) {
    if (kept > 0 && (terms_[kept] < min_p || reached >= mass)) break;
    reached += terms_[kept];
  }
  return kept;
}

// Log probabilities of the sampled token and of the best n_logprobs tokens.
void Sampler::report(const float* logits, float max, int64_t row, Columns* columns) {
  const auto r = static_cast<size_t>(row);
  const double log_sum =
      max + std::log(static_cast<double>(kernels().exp_sum(logits, n_vocab_, max, 1.0f, nullptr)));
  columns->logprob[r] = static_cast<float>(logits[columns->sampled[r]] - log_sum);
  if (columns->n_logprobs[r] <= 0) return;
  const int64_t n = collect_top(logits, std::min<int64_t>(columns->n_logprobs[r], n_vocab_));
  for (int64_t i = 0; i < n; ++i) {
    columns->top_ids[static_cast<size_t>(row * kMaxLogprobs + i)] = candidates_[i].id;
    columns->top_logprobs[static_cast<size_t>(row * kMaxLogprobs + i)] =
        static_cast<float>(candidates_[i].logit - log_sum);
  }
}

}  // namespace pyllm
