// The arrays through which Python and a program talk: filled before a step, read after it.
#ifndef PYLLM_CSRC_COLUMNS_H_
#define PYLLM_CSRC_COLUMNS_H_

#include <cstdint>
#include <vector>

#include "token_mask.h"

namespace pyllm {

class KVPool;

constexpr int kMaxLogprobs = 20;

// What became of a row.
enum Status : int32_t { kSampled = 0, kNotFinite = 1, kNothingAllowed = 2 };

// Capacities of a program, fixed when it is built.
struct Limits {
  int64_t max_tokens;    // T rows of a step
  int64_t max_rows;      // R rows of a step
  int64_t max_seqs;      // sequences of a step
  int64_t max_blocks;    // KV blocks of one sequence
  int64_t arena_floats;  // size of the arena
  int64_t n_vocab;       // width of the logits; 0 for a program that samples nothing
};

struct StepShape {
  int64_t n_tokens, n_seqs;
  int64_t n_rows;    // R rows
  int64_t n_logits;  // the first of them get logits, the rest are read as hidden states
};

// The first token that the token at `position` sees; window: how many it sees, itself included,
// 0: all before it.
inline int64_t first_seen(int64_t position, int64_t window) {
  return window == 0 || position < window ? 0 : position - window + 1;
}

// Tokens that the penalties of a row look at; null when no row has any.
struct History {
  const int32_t* offsets = nullptr;        // [n_rows + 1] into the two arrays below
  const int32_t* tokens = nullptr;         // token ids, each at most once in a row
  const int32_t* output_counts = nullptr;  // times the model produced it; 0: in the prompt only
  int64_t n_offsets = 0, n_tokens = 0;
};

// Values added to single logits before sampling; null when no row has any.
struct LogitBias {
  const int32_t* offsets = nullptr;  // [n_rows + 1] into the two arrays below
  const int32_t* tokens = nullptr;
  const float* values = nullptr;  // finite, or -infinity to forbid a token
  int64_t n_offsets = 0, n_tokens = 0;
};

// What the rows of a step bring beside their columns.
struct SamplingInputs {
  TokenMasks masks;
  History history;
  LogitBias bias;
  LogitBias dry;  // added where DRY stands in the row's order
};

struct Columns {
  explicit Columns(const Limits& limits);

  // The batch. Python fills.
  std::vector<int32_t> tokens;        // [max_tokens]
  std::vector<int32_t> positions;     // [max_tokens] consecutive within a sequence
  std::vector<int32_t> seq_starts;    // [max_seqs + 1] first T row of each sequence
  std::vector<int32_t> block_tables;  // [max_seqs][max_blocks]
  std::vector<int32_t> logit_rows;    // [max_rows] T row of each R row

  // Sampling, one entry per R row. Python fills; a new program holds greedy rows without penalties.
  std::vector<float> temperature, top_p, min_p;
  std::vector<float> repetition_penalty, presence_penalty, frequency_penalty;
  std::vector<int32_t> top_k;  // 0: off
  std::vector<uint64_t> seed;
  std::vector<int64_t> rng_position;  // absolute index of the token being sampled
  std::vector<int32_t> n_logprobs;    // 0 to 20 alternatives; -1: none
  std::vector<int32_t> target;        // the token to report on instead of sampling one; -1: sample
  std::vector<int32_t> deferred;      // 1: not sampled by the step, but by sample()
  std::vector<uint64_t>
      sampler_order;  // sampling/order.h; 0: the default, which reads nothing below
  std::vector<float> typical_p, top_n_sigma, xtc_probability, xtc_threshold;
  std::vector<float> dynatemp_range, dynatemp_exponent;
  std::vector<float> mirostat_tau, mirostat_eta, mirostat_mu;  // bits
  std::vector<int32_t> min_keep;  // tokens that top_p, min_p, typical_p and XTC leave at least

  // Results, one entry per R row. The program fills.
  std::vector<int32_t> sampled, status;  // a Status; sampled is -1 unless kSampled
  std::vector<float> logprob;        // of the sampled token, from the unmodified logits; NaN when
                                     // n_logprobs is -1, like the next two
  std::vector<double> log_sum;       // log of the sum of e^logit
  std::vector<int32_t> rank;         // of the sampled token, from 1
  std::vector<int32_t> top_ids;      // [max_rows][20], -1 past n_logprobs
  std::vector<float> top_logprobs;   // [max_rows][20]
  std::vector<float> mirostat_next;  // mirostat_mu of the row that follows
};

// Throws std::invalid_argument naming the first column, row and value that cannot be run.
// token_limit: ids must be below it. kv may be null. window: the widest of all layers; of a table
// only the blocks that it reaches are looked at.
void check_columns(const Columns& columns, const Limits& limits, const StepShape& shape,
                   int64_t token_limit, const KVPool* kv, int64_t window,
                   std::vector<int32_t>* block_writers);
void check_sampling(const Columns& columns, int64_t n_rows, const SamplingInputs& inputs,
                    int64_t n_vocab);

}  // namespace pyllm

#endif  // PYLLM_CSRC_COLUMNS_H_
