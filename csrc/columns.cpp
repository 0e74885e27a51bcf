#include "columns.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "runtime/kv_pool.h"
#include "sampling/order.h"

namespace pyllm {
namespace {

[[noreturn]] void fail(const std::string& column, int64_t index, const std::string& value,
                       const std::string& allowed) {
  throw std::invalid_argument(column + "[" + std::to_string(index) + "] is " + value +
                              ", allowed: " + allowed);
}

void check_range(const char* column, int64_t index, int64_t value, int64_t low, int64_t high) {
  if (value < low || value >= high) {
    fail(column, index, std::to_string(value),
         std::to_string(low) + " to " + std::to_string(high - 1));
  }
}

void check_count(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + ", allowed: " +
                                std::to_string(low) + " to " + std::to_string(high));
  }
}

void check_interval(const char* column, int64_t index, float value, float low, float high) {
  if (!(value >= low && value <= high)) {  // NaN fails too
    fail(column, index, std::to_string(value), std::to_string(low) + " to " + std::to_string(high));
  }
}

void check_sequence(const Columns& c, const Limits& limits, int64_t seq, const KVPool* kv) {
  const int64_t begin = c.seq_starts[static_cast<size_t>(seq)];
  const int64_t end = c.seq_starts[static_cast<size_t>(seq) + 1];
  const int64_t capacity = kv == nullptr ? int64_t{1} << 31 : limits.max_blocks * kv->block_size;
  for (int64_t t = begin; t < end; ++t) {
    const int64_t position = c.positions[static_cast<size_t>(t)];
    check_range("positions", t, position, 0, capacity);
    if (t > begin && position != c.positions[static_cast<size_t>(t) - 1] + 1) {
      fail("positions", t, std::to_string(position), "one more than the row before");
    }
  }
}

// A block written by one sequence may not appear in another one: shared blocks are only read.
// Blocks behind the window are not read at all, and their owner may be another one by now.
void check_blocks(const Columns& c, const Limits& limits, int64_t n_seqs, const KVPool& kv,
                  int64_t window, std::vector<int32_t>* writers) {
  const auto table = [&](int64_t seq) { return c.block_tables.data() + seq * limits.max_blocks; };
  const auto first_position = [&](int64_t seq) {
    return c.positions[static_cast<size_t>(c.seq_starts[static_cast<size_t>(seq)])];
  };
  const auto first_read = [&](int64_t seq) {
    return first_seen(first_position(seq), window) / kv.block_size;
  };
  const auto first_written = [&](int64_t seq) { return first_position(seq) / kv.block_size; };
  const auto last_written = [&](int64_t seq) {
    return c.positions[static_cast<size_t>(c.seq_starts[static_cast<size_t>(seq) + 1]) - 1] /
           kv.block_size;
  };
  for (int64_t seq = 0; seq < n_seqs; ++seq) {
    for (int64_t i = first_read(seq); i <= last_written(seq); ++i) {
      check_range("block_tables", seq * limits.max_blocks + i, table(seq)[i], 0, kv.n_blocks);
    }
  }
  std::fill(writers->begin(), writers->end(), -1);
  for (int64_t seq = 0; seq < n_seqs; ++seq) {
    for (int64_t i = first_written(seq); i <= last_written(seq); ++i) {
      int32_t& writer = (*writers)[static_cast<size_t>(table(seq)[i])];
      if (writer != -1) {
        fail("block_tables", seq * limits.max_blocks + i, std::to_string(table(seq)[i]),
             "a block nothing else writes in this step");
      }
      writer = static_cast<int32_t>(seq);
    }
  }
  for (int64_t seq = 0; seq < n_seqs; ++seq) {
    for (int64_t i = first_read(seq); i <= last_written(seq); ++i) {
      const int32_t writer = (*writers)[static_cast<size_t>(table(seq)[i])];
      if (writer != -1 && (writer != seq || i < first_written(seq))) {
        fail("block_tables", seq * limits.max_blocks + i, std::to_string(table(seq)[i]),
             "a block nothing else writes in this step");
      }
    }
  }
}

void check_offsets(const char* name, const int32_t* offsets, int64_t n_offsets, int64_t n_rows,
                   int64_t n_tokens) {
  if (n_offsets != n_rows + 1) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(n_offsets) +
                                " entries, allowed: n_rows + 1, " + std::to_string(n_rows + 1));
  }
  check_range(name, 0, offsets[0], 0, 1);
  for (int64_t row = 0; row < n_rows; ++row) {
    check_range(name, row + 1, offsets[row + 1], offsets[row], n_tokens + 1);
  }
}

void check_masks(const TokenMasks& masks, int64_t n_rows, int64_t n_vocab) {
  if (masks.rows == nullptr) return;
  const int64_t n_words = (n_vocab + 31) / 32;
  check_count("words per token mask", masks.n_words, n_words, n_words);
  for (int64_t i = 0; i < masks.n_masks; ++i) {
    check_range("mask rows", i, masks.rows[i], i == 0 ? 0 : masks.rows[i - 1] + 1, n_rows);
  }
}

void check_bias(const std::string& name, const LogitBias& bias, int64_t n_rows, int64_t n_vocab) {
  if (bias.offsets == nullptr) return;
  check_offsets((name + " offsets").c_str(), bias.offsets, bias.n_offsets, n_rows, bias.n_tokens);
  for (int64_t i = 0; i < bias.offsets[n_rows]; ++i) {
    check_range((name + " tokens").c_str(), i, bias.tokens[i], 0, n_vocab);
    if (std::isnan(bias.values[i]) || bias.values[i] == std::numeric_limits<float>::infinity()) {
      fail(name + " values", i, std::to_string(bias.values[i]), "finite, or -inf");
    }
  }
}

void check_history(const History& history, int64_t n_rows, int64_t n_vocab) {
  if (history.offsets == nullptr) return;
  check_offsets("history offsets", history.offsets, history.n_offsets, n_rows, history.n_tokens);
  for (int64_t i = 0; i < history.offsets[n_rows]; ++i) {
    check_range("history tokens", i, history.tokens[i], 0, n_vocab);
    check_range("history output_counts", i, history.output_counts[i], 0, int64_t{1} << 31);
  }
}

}  // namespace

Columns::Columns(const Limits& limits) {
  const auto n_tokens = static_cast<size_t>(limits.max_tokens);
  const auto n_seqs = static_cast<size_t>(limits.max_seqs);
  const auto n_rows = static_cast<size_t>(limits.max_rows);
  tokens.resize(n_tokens);
  positions.resize(n_tokens);
  seq_starts.resize(n_seqs + 1);
  block_tables.resize(n_seqs * static_cast<size_t>(limits.max_blocks));
  logit_rows.resize(n_rows);
  temperature.resize(n_rows, 0.0f);
  top_p.resize(n_rows, 1.0f);
  min_p.resize(n_rows, 0.0f);
  repetition_penalty.resize(n_rows, 1.0f);
  presence_penalty.resize(n_rows, 0.0f);
  frequency_penalty.resize(n_rows, 0.0f);
  top_k.resize(n_rows, 0);
  seed.resize(n_rows, 0);
  rng_position.resize(n_rows, 0);
  n_logprobs.resize(n_rows, -1);
  target.resize(n_rows, -1);
  deferred.resize(n_rows, 0);
  sampler_order.resize(n_rows, 0);
  typical_p.resize(n_rows, 1.0f);
  top_n_sigma.resize(n_rows, -1.0f);
  xtc_probability.resize(n_rows, 0.0f);
  xtc_threshold.resize(n_rows, 0.1f);
  dynatemp_range.resize(n_rows, 0.0f);
  dynatemp_exponent.resize(n_rows, 1.0f);
  mirostat_tau.resize(n_rows, 5.0f);
  mirostat_eta.resize(n_rows, 0.1f);
  mirostat_mu.resize(n_rows, 10.0f);
  min_keep.resize(n_rows, 0);
  sampled.resize(n_rows);
  status.resize(n_rows);
  logprob.resize(n_rows);
  top_ids.resize(n_rows * kMaxLogprobs);
  top_logprobs.resize(n_rows * kMaxLogprobs);
  log_sum.resize(n_rows);
  rank.resize(n_rows);
  mirostat_next.resize(n_rows);
}

void check_columns(const Columns& c, const Limits& limits, const StepShape& shape,
                   int64_t token_limit, const KVPool* kv, int64_t window,
                   std::vector<int32_t>* block_writers) {
  check_count("n_tokens", shape.n_tokens, 1, limits.max_tokens);
  check_count("n_seqs", shape.n_seqs, 1, limits.max_seqs);
  check_count("n_rows", shape.n_rows, 0, limits.max_rows);
  for (int64_t t = 0; t < shape.n_tokens; ++t) {
    check_range("tokens", t, c.tokens[static_cast<size_t>(t)], 0, token_limit);
  }
  check_range("seq_starts", 0, c.seq_starts[0], 0, 1);
  for (int64_t seq = 0; seq < shape.n_seqs; ++seq) {
    check_range("seq_starts", seq + 1, c.seq_starts[static_cast<size_t>(seq) + 1],
                c.seq_starts[static_cast<size_t>(seq)] + 1, shape.n_tokens + 1);
  }
  if (c.seq_starts[static_cast<size_t>(shape.n_seqs)] != shape.n_tokens) {
    fail("seq_starts", shape.n_seqs,
         std::to_string(c.seq_starts[static_cast<size_t>(shape.n_seqs)]),
         "n_tokens, " + std::to_string(shape.n_tokens));
  }
  for (int64_t seq = 0; seq < shape.n_seqs; ++seq) check_sequence(c, limits, seq, kv);
  for (int64_t row = 0; row < shape.n_rows; ++row) {
    check_range("logit_rows", row, c.logit_rows[static_cast<size_t>(row)], 0, shape.n_tokens);
  }
  if (kv != nullptr) check_blocks(c, limits, shape.n_seqs, *kv, window, block_writers);
}

void check_sampling(const Columns& c, int64_t n_rows, const SamplingInputs& inputs,
                    int64_t n_vocab) {
  constexpr float kHuge = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::min();
  for (int64_t row = 0; row < n_rows; ++row) {
    const auto r = static_cast<size_t>(row);
    check_interval("temperature", row, c.temperature[r], 0.0f, kHuge);
    check_interval("top_p", row, c.top_p[r], kTiny, 1.0f);
    check_interval("min_p", row, c.min_p[r], 0.0f, 1.0f);
    check_interval("repetition_penalty", row, c.repetition_penalty[r], kTiny, kHuge);
    check_interval("presence_penalty", row, c.presence_penalty[r], -kHuge, kHuge);
    check_interval("frequency_penalty", row, c.frequency_penalty[r], -kHuge, kHuge);
    check_range("top_k", row, c.top_k[r], 0, int64_t{1} << 31);
    check_range("n_logprobs", row, c.n_logprobs[r], -1, kMaxLogprobs + 1);
    check_range("target", row, c.target[r], -1, n_vocab);
    if (!is_valid_order(c.sampler_order[r])) {
      fail("sampler_order", row, std::to_string(c.sampler_order[r]), "numbers of samplers");
    }
    check_interval("typical_p", row, c.typical_p[r], 0.0f, 1.0f);
    check_interval("top_n_sigma", row, c.top_n_sigma[r], -kHuge, kHuge);
    check_interval("xtc_probability", row, c.xtc_probability[r], 0.0f, 1.0f);
    check_interval("xtc_threshold", row, c.xtc_threshold[r], 0.0f, 1.0f);
    check_interval("dynatemp_range", row, c.dynatemp_range[r], 0.0f, kHuge);
    check_interval("dynatemp_exponent", row, c.dynatemp_exponent[r], -kHuge, kHuge);
    check_interval("mirostat_tau", row, c.mirostat_tau[r], 0.0f, kHuge);
    check_interval("mirostat_eta", row, c.mirostat_eta[r], 0.0f, kHuge);
    check_interval("mirostat_mu", row, c.mirostat_mu[r], -kHuge, kHuge);
    check_range("min_keep", row, c.min_keep[r], 0, int64_t{1} << 31);
  }
  check_masks(inputs.masks, n_rows, n_vocab);
  check_history(inputs.history, n_rows, n_vocab);
  check_bias("bias", inputs.bias, n_rows, n_vocab);
  check_bias("dry", inputs.dry, n_rows, n_vocab);
}

}  // namespace pyllm
