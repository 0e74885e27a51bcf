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
constexpr int64_t kBlock = 4 * kTileRows;  // elements under one block maximum: few enough to sort
// What top_p and min_p try first.
constexpr int64_t kFewCandidates = 128, kMoreCandidates = 1024;
constexpr double kAll = std::numeric_limits<double>::infinity();  // a mass no row reaches
constexpr float kLowest = std::numeric_limits<float>::lowest();

int64_t n_blocks(int64_t n) { return (n + kBlock - 1) / kBlock; }
int64_t n_tiles(int64_t n) { return (n + kTileRows - 1) / kTileRows; }

size_t scratch_bytes(int64_t n_vocab) {
  return static_cast<size_t>(n_vocab * 16 + n_blocks(n_vocab) * 4 + n_tiles(n_vocab) * 8);
}

}  // namespace

Sampler::Sampler(int64_t n_vocab)
    : n_vocab_(n_vocab),
      memory_(scratch_bytes(n_vocab)),
      adjusted_(memory_.as<float>()),
      terms_(adjusted_ + n_vocab),
      block_maxima_(terms_ + 3 * n_vocab),
      tile_maxima_(block_maxima_ + n_blocks(n_vocab)),
      adjusted_maxima_(tile_maxima_ + n_tiles(n_vocab)),
      candidates_(reinterpret_cast<Candidate*>(terms_ + n_vocab)) {}

void Sampler::sample(const float* logits, const float* tile_maxima, int64_t row,
                     const History& history, const LogitBias& bias, const TokenMasks& masks,
                     Columns* columns) {
  const auto r = static_cast<size_t>(row);
  columns->sampled[r] = -1;
  columns->logprob[r] = std::numeric_limits<float>::quiet_NaN();
  columns->status[r] = kNotFinite;
  std::fill_n(columns->top_ids.begin() + row * kMaxLogprobs, kMaxLogprobs, -1);
  std::fill_n(columns->top_logprobs.begin() + row * kMaxLogprobs, kMaxLogprobs, -kInf);
  if (tile_maxima == nullptr) {
    kernels().tile_max(logits, n_vocab_, tile_maxima_);
    tile_maxima = tile_maxima_;
  }
  bool finite = false;
  const float max = kernels().row_max(tile_maxima, n_tiles(n_vocab_), &finite);
  if (!finite) return;
  const Scores raw{logits, tile_maxima, max};
  const Scores scores = adjust(raw, row, history, bias, masks.of(row), *columns);
  columns->sampled[r] = choose(scores, row, *columns);
  columns->status[r] = columns->sampled[r] < 0 ? kNothingAllowed : kSampled;
  if (columns->status[r] != kSampled) return;
  if (columns->n_logprobs[r] >= 0) report(raw, row, columns);
}

// The logits themselves when the row has neither mask nor penalties nor bias, else a changed copy.
Sampler::Scores Sampler::adjust(const Scores& logits, int64_t row, const History& history,
                                const LogitBias& bias, const TokenMask& mask,
                                const Columns& columns) {
  const auto r = static_cast<size_t>(row);
  const float repetition = columns.repetition_penalty[r];
  const float frequency = columns.frequency_penalty[r], presence = columns.presence_penalty[r];
  const bool penalised = history.offsets != nullptr &&
                         history.offsets[row] < history.offsets[row + 1] &&
                         (repetition != 1.0f || frequency != 0.0f || presence != 0.0f);
  const bool biased = bias.offsets != nullptr && bias.offsets[row] < bias.offsets[row + 1];
  if (!penalised && !biased && !mask.exists()) return logits;
  if (mask.exists()) {
    copy_allowed(logits, mask);
  } else {
    std::copy(logits.values, logits.values + n_vocab_, adjusted_);
    std::copy(logits.tile_maxima, logits.tile_maxima + n_tiles(n_vocab_), adjusted_maxima_);
  }
  for (int64_t i = penalised ? history.offsets[row] : 0; penalised && i < history.offsets[row + 1];
       ++i) {
    if (!mask.allows(history.tokens[i])) continue;
    float& logit = adjusted_[history.tokens[i]];
    const auto count = static_cast<float>(history.output_counts[i]);
    logit = logit > 0.0f ? logit / repetition : logit * repetition;
    if (count > 0.0f) logit -= frequency * count + presence;
  }
  for (int64_t i = biased ? bias.offsets[row] : 0; biased && i < bias.offsets[row + 1]; ++i) {
    if (mask.allows(bias.tokens[i])) adjusted_[bias.tokens[i]] += bias.values[i];
  }
  for (int64_t i = penalised ? history.offsets[row] : 0; penalised && i < history.offsets[row + 1];
       ++i) {
    if (mask.allows(history.tokens[i])) refresh_tile(history.tokens[i]);
  }
  for (int64_t i = biased ? bias.offsets[row] : 0; biased && i < bias.offsets[row + 1]; ++i) {
    if (mask.allows(bias.tokens[i])) refresh_tile(bias.tokens[i]);
  }
  bool ignored = false;  // a bias may be -infinity
  const float max = kernels().row_max(adjusted_maxima_, n_tiles(n_vocab_), &ignored);
  return {adjusted_, adjusted_maxima_, max};
}

// adjusted_ and its maxima from the tokens that the mask allows.
void Sampler::copy_allowed(const Scores& logits, const TokenMask& mask) {
  constexpr uint32_t kWholeTile = 0xFFFF;
  for (int64_t tile = 0; tile < n_tiles(n_vocab_); ++tile) {
    const uint32_t bits = mask.tile(tile);
    adjusted_maxima_[tile] = bits == kWholeTile ? logits.tile_maxima[tile] : -kInf;
    if (bits == 0) continue;
    const int64_t begin = tile * kTileRows, end = std::min(begin + kTileRows, n_vocab_);
    for (int64_t i = begin; i < end; ++i) {
      adjusted_[i] = (bits >> (i - begin) & 1) != 0 ? logits.values[i] : -kInf;
    }
    if (bits != kWholeTile) refresh_tile(begin);
  }
}

void Sampler::refresh_tile(int64_t token) {
  const int64_t tile = token / kTileRows;
  const float* begin = adjusted_ + tile * kTileRows;
  const float* end = adjusted_ + std::min((tile + 1) * kTileRows, n_vocab_);
  adjusted_maxima_[tile] = *std::max_element(begin, end);
}

// -1 when no token is possible.
int32_t Sampler::choose(const Scores& scores, int64_t row, const Columns& columns) {
  const auto r = static_cast<size_t>(row);
  const float temperature = columns.temperature[r];
  if (temperature == 0.0f) return best(scores);
  const float scale = std::min(1.0f / temperature, std::numeric_limits<float>::max());
  const double u = uniform(columns.seed[r], static_cast<uint64_t>(columns.rng_position[r]));
  const bool truncated = columns.top_k[r] > 0 || columns.top_p[r] < 1.0f || columns.min_p[r] > 0.0f;
  if (!truncated) return draw_any(scores, scale, u);
  const int64_t n = truncate(scores, scale, row, columns);
  double total = 0.0, reached = 0.0;
  for (int64_t i = 0; i < n; ++i) total += terms_[i];
  for (int64_t i = 0; i < n; ++i) {
    reached += terms_[i];
    if (reached > u * total || i == n - 1) return candidates_[i].id;
  }
  return -1;
}

// The token with the largest score, of several the one with the lowest id; -1 when all are
// -infinity.
int32_t Sampler::best(const Scores& scores) const {
  const float* tiles_end = scores.tile_maxima + n_tiles(n_vocab_);
  const float* tile = std::find(scores.tile_maxima, tiles_end, scores.max);
  if (tile == tiles_end) return -1;
  const float* begin = scores.values + (tile - scores.tile_maxima) * kTileRows;
  const float* found = std::find(begin, scores.values + n_vocab_, scores.max);
  return static_cast<int32_t>(found - scores.values);
}

// The first elements at or behind `from`, the start of a tile, whose tiles hold a possible token;
// empty when there are no more. All of a row's elements, unless a mask or a bias forbids some.
Sampler::Stretch Sampler::next_stretch(const Scores& scores, int64_t from) const {
  const int64_t tiles = n_tiles(n_vocab_);
  int64_t begin = (from + kTileRows - 1) / kTileRows;
  while (begin < tiles && scores.tile_maxima[begin] == -kInf) ++begin;
  int64_t end = begin;
  while (end < tiles && scores.tile_maxima[end] != -kInf) ++end;
  return {std::min(begin * kTileRows, n_vocab_), std::min(end * kTileRows, n_vocab_)};
}

// Sum of e^((score - max) * scale); each term of a possible tile also goes to `terms` unless null.
double Sampler::exp_sum(const Scores& scores, float scale, float* terms) const {
  double sum = 0.0;
  for (Stretch s = next_stretch(scores, 0); s.begin < s.end; s = next_stretch(scores, s.end)) {
    sum += kernels().exp_sum(scores.values + s.begin, s.end - s.begin, scores.max, scale,
                             terms == nullptr ? nullptr : terms + s.begin);
  }
  return sum;
}

// A draw from the whole vocabulary, cumulated in the order of ids.
int32_t Sampler::draw_any(const Scores& scores, float scale, double u) {
  exp_sum(scores, scale, terms_);
  double total = 0.0, reached = 0.0;
  for (Stretch s = next_stretch(scores, 0); s.begin < s.end; s = next_stretch(scores, s.end)) {
    for (int64_t i = s.begin; i < s.end; ++i) total += terms_[i];
  }
  int32_t last = -1;
  for (Stretch s = next_stretch(scores, 0); s.begin < s.end; s = next_stretch(scores, s.end)) {
    for (int64_t i = s.begin; i < s.end; ++i) {
      if (scores.values[i] == -kInf) continue;
      last = static_cast<int32_t>(i);
      reached += terms_[i];
      if (reached > u * total) return last;
    }
  }
  return last;
}

// candidates_[0 .. n) become the k best tokens in order; returns n = min(k, tokens above
// -infinity). k blocks hold an element at least as large as the k-th largest block maximum, so
// nothing below that maximum can be among the k best: for k = 40 of 128k it leaves about 50 tokens
// to sort.
int64_t Sampler::collect_top(const Scores& scores, int64_t k) {
  const int64_t blocks = n_blocks(n_vocab_);
  fill_block_maxima(scores);
  float least = kLowest;
  if (k < blocks) {
    std::copy(block_maxima_, block_maxima_ + blocks, terms_);
    std::nth_element(terms_, terms_ + k - 1, terms_ + blocks, std::greater<>());
    least = std::max(least, terms_[k - 1]);
  }
  int64_t n = collect_from(scores, least);
  if (n > k) {
    std::nth_element(candidates_, candidates_ + k, candidates_ + n, is_better);
    n = k;
  }
  std::sort(candidates_, candidates_ + n, is_better);
  return n;
}

// All tokens whose logit is at least `least`, in no order; block_maxima_ must be filled.
int64_t Sampler::collect_from(const Scores& scores, float least) {
  const float* logits = scores.values;
  int64_t n = 0;
  for (int64_t b = 0; b < n_blocks(n_vocab_); ++b) {
    if (block_maxima_[b] < least) continue;
    const int64_t end = std::min(kBlock * (b + 1), n_vocab_);
    for (int64_t i = kBlock * b; i < end; ++i) {
      if (i % kTileRows == 0 && scores.tile_maxima[i / kTileRows] < least) {
        i += kTileRows - 1;
      } else if (logits[i] >= least) {
        candidates_[n++] = {logits[i], static_cast<int32_t>(i)};
      }
    }
  }
  return n;
}

void Sampler::fill_block_maxima(const Scores& scores) {
  constexpr int64_t kTiles = kBlock / kTileRows;
  const int64_t tiles = n_tiles(n_vocab_);
  for (int64_t b = 0; b < n_blocks(n_vocab_); ++b) {
    float& largest = block_maxima_[b] = scores.tile_maxima[kTiles * b];
    for (int64_t tile = kTiles * b + 1; tile < std::min(kTiles * (b + 1), tiles); ++tile) {
      largest = std::max(largest, scores.tile_maxima[tile]);
    }
  }
}

// A logit above which the tokens together weigh about `mass`, without sorting: weights are added up
// in 1,024 steps of 1/32 below the maximum. Only a hint; rounding may leave it a little short.
float Sampler::mass_floor(const Scores& scores, float scale, double mass) {
  constexpr int kSteps = 1024;
  constexpr float kStepsPerUnit = 32.0f;
  double weights[kSteps] = {};
  exp_sum(scores, scale, terms_);
  for (Stretch s = next_stretch(scores, 0); s.begin < s.end; s = next_stretch(scores, s.end)) {
    for (int64_t i = s.begin; i < s.end; ++i) {
      const float below = (scores.max - scores.values[i]) * scale * kStepsPerUnit;
      weights[below < kSteps - 1 ? static_cast<int>(below) : kSteps - 1] += terms_[i];
    }
  }
  int step = 0;
  for (double reached = weights[0]; reached < mass && step < kSteps - 1; ++step) {
    reached += weights[step + 1];
  }
  if (step >= kSteps - 2) return kLowest;
  return scores.max - static_cast<float>(step + 2) / kStepsPerUnit / scale;
}

// Applies top_k, top_p and min_p: candidates_[0 .. n) and terms_[0 .. n) are what may be drawn.
// Without top_k the best 128 and 1,024 tokens are tried first, then as many as the mass asks for.
int64_t Sampler::truncate(const Scores& scores, float scale, int64_t row, const Columns& columns) {
  const auto r = static_cast<size_t>(row);
  const float max = scores.max;
  const double top_p = columns.top_p[r];
  const float min_p = columns.min_p[r];
  if (columns.top_k[r] > 0 && columns.top_k[r] < n_vocab_) {
    const int64_t n = collect_top(scores, columns.top_k[r]);
    const double total = weigh_candidates(n, max, scale);
    return count_kept(n, top_p < 1.0 ? top_p * total : kAll, min_p);
  }
  double mass = kAll;
  if (top_p < 1.0) mass = top_p * exp_sum(scores, scale, nullptr);
  for (const int64_t k : {kFewCandidates, kMoreCandidates}) {
    if (k >= n_vocab_) break;
    const int64_t n = collect_top(scores, k);
    weigh_candidates(n, max, scale);
    const int64_t kept = count_kept(n, mass, min_p);
    if (kept < n || n < k) return kept;  // n < k: no other token is possible
  }
  fill_block_maxima(scores);
  float least = top_p < 1.0 ? mass_floor(scores, scale, mass) : kLowest;
  if (min_p > 0.0f) least = std::max(least, max + (std::log(min_p) - 0.1f) / scale);
  for (;; least = kLowest) {
    const int64_t n = collect_from(scores, least);
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
void Sampler::report(const Scores& logits, int64_t row, Columns* columns) {
  const auto r = static_cast<size_t>(row);
  const float max = logits.max;
  const double log_sum =
      max +
      std::log(static_cast<double>(kernels().exp_sum(logits.values, n_vocab_, max, 1.0f, nullptr)));
  columns->logprob[r] = static_cast<float>(logits.values[columns->sampled[r]] - log_sum);
  if (columns->n_logprobs[r] == 0) return;
  const int64_t n = collect_top(logits, std::min<int64_t>(columns->n_logprobs[r], n_vocab_));
  for (int64_t i = 0; i < n; ++i) {
    columns->top_ids[static_cast<size_t>(row * kMaxLogprobs + i)] = candidates_[i].id;
    columns->top_logprobs[static_cast<size_t>(row * kMaxLogprobs + i)] =
        static_cast<float>(candidates_[i].logit - log_sum);
  }
}

}  // namespace pyllm
