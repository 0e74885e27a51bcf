// The tokens that may still be drawn: the whole vocabulary until a sampler narrows it down.
#ifndef PYLLM_CSRC_SAMPLING_SELECTION_H_
#define PYLLM_CSRC_SAMPLING_SELECTION_H_

#include <cmath>

#include "isa/select.h"
#include "sampling/adjusted.h"
#include "sampling/search.h"

namespace pyllm {

// Either "whole" (nothing but the row of scores) or candidates [0, n), best first. A token's weight
// is e^((logit - max) * scale); its probability that, divided by the sum of all weights.
class Selection {
 public:
  Selection(AdjustedScores* adjusted, const Workspace& workspace)
      : adjusted_(adjusted), w_(&workspace) {}

  bool whole() const { return whole_; }
  int64_t n_vocab() const { return w_->n_vocab; }
  const Scores& scores() const { return adjusted_->scores(); }
  Candidate* candidates() const { return w_->candidates; }
  float* terms() const { return w_->terms; }
  int64_t n() const { return n_; }  // candidates; not of a whole selection

  float max() const { return whole_ ? scores().max : n_ > 0 ? w_->candidates[0].logit : 0.0f; }
  float scale() const { return scale_; }
  void divide_by(float temperature) {
    scale_ = std::min(scale_ * (1.0f / temperature), std::numeric_limits<float>::max());
  }

  // Tokens left; those with a score of -infinity do not count.
  int64_t size() const {
    if (!whole_) return n_;
    int64_t n = 0;
    for_each([&](int64_t, const Candidate& token) { n += token.logit > -kInf; });
    return n;
  }

  // Calls f(place of the weight in terms, token) for what is left: by id, or best first. Of a whole
  // selection some may have a score of -infinity.
  template <typename F>
  void for_each(F f) const {
    if (!whole_) {
      for (int64_t i = 0; i < n_; ++i) f(i, w_->candidates[i]);
      return;
    }
    const float* values = scores().values;
    for_possible(scores(), *w_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i, {values[i], static_cast<int32_t>(i)});
    });
  }

  // Weights of what is left into terms; returns their sum.
  double weigh() {
    if (whole_) return whole_weight(w_->terms);
    for (int64_t i = 0; i < n_; ++i) w_->terms[i] = w_->candidates[i].logit;
    return kernels().exp_sum(w_->terms, n_, max(), scale_, w_->terms);
  }

  double total_weight() {
    if (!whole_) return weigh();
    return whole_weight(nullptr);
  }

  void keep_best(int64_t k) {
    if (whole_ && k == 1) {
      const int32_t best = best_token(scores(), *w_);
      if (best >= 0) w_->candidates[0] = {scores().max, best};
      become(best >= 0 ? 1 : 0);
    } else if (whole_) {
      become(collect_top(scores(), *w_, k));
    } else {
      n_ = std::min(n_, k);
    }
  }

  // Keeps tokens whose logit is at least `least`.
  void keep_from(float least) {
    if (whole_) {
      fill_block_maxima(scores(), *w_);
      become(collect_from(scores(), *w_, least));
      std::sort(w_->candidates, w_->candidates + n_, is_better);
    } else {
      while (n_ > 0 && w_->candidates[n_ - 1].logit < least) --n_;
    }
  }

  // The logit below which a token weighs less than `weight`, and 10 % more to be safe.
  float floor_of(double weight) const {
    if (!(weight > 0.0)) return kLowest;
    const double least = max() + (std::log(weight) - 0.1) / scale_;
    return least > kLowest ? static_cast<float>(least) : kLowest;
  }

  // candidates [0, n) are what is left, best first.
  void become(int64_t n) {
    whole_ = false;
    n_ = n;
  }

  // The best `n` go.
  void drop_best(int64_t n) {
    if (!whole_) {
      std::copy(w_->candidates + n, w_->candidates + n_, w_->candidates);
      n_ -= n;
      return;
    }
    n = collect_top(scores(), *w_, n);
    float* values = adjusted_->values();
    for (int64_t i = 0; i < n; ++i) values[w_->candidates[i].id] = -kInf;
    for (int64_t i = 0; i < n; ++i) adjusted_->refresh(w_->candidates[i].id);
    adjusted_->update_max();
  }

  // After the scores of some tokens changed.
  void reload() {
    if (whole_) return;
    for (int64_t i = 0; i < n_; ++i)
      w_->candidates[i].logit = scores().values[w_->candidates[i].id];
    std::sort(w_->candidates, w_->candidates + n_, is_better);
  }

  AdjustedScores* adjusted() { return adjusted_; }

 private:
  double whole_weight(float* terms) const {
    double sum = 0.0;
    for_possible(scores(), *w_, [&](int64_t begin, int64_t end) {
      sum += kernels().exp_sum(scores().values + begin, end - begin, max(), scale_,
                               terms == nullptr ? nullptr : terms + begin);
    });
    return sum;
  }

  AdjustedScores* adjusted_;
  const Workspace* w_;
  float scale_ = 1.0f;
  bool whole_ = true;
  int64_t n_ = 0;
};

}  // namespace pyllm

#endif  // PYLLM_CSRC_SAMPLING_SELECTION_H_
