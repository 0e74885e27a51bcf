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
  int64_t n_tokens, n_seqs, n_rows;
};

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

  // Results, one entry per R row. The program fills.
  std::vector<int32_t> sampled,
      status;                       // one of Status; nothing was sampled unless it is kSampled
  std::vector<float> logprob;       // of the sampled token, from the unmodified logits; NaN when
                                    // n_logprobs is -1
  std::vector<int32_t> top_ids;     // [max_rows][20], -1 past n_logprobs
  std::vector<float> top_logprobs;  // [max_rows][20]
};

// Throws std::invalid_argument naming the first column, row and value that cannot be run.
// token_limit: ids must be below it. kv may be null.
void check_columns(const Columns& columns, const Limits& limits, const StepShape& shape,
                   int64_t token_limit, const KVPool* kv, std::vector<int32_t>* block_writers);
void check_sampling(const Columns& columns, const StepShape& shape, const History& history,
                    const LogitBias& bias, const TokenMasks& masks, int64_t n_vocab);

}  // namespace pyllm

#endif  // PYLLM_CSRC_COLUMNS_H_
