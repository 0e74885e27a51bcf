// The C ABI of the tokenizer core: checks arguments, keeps exceptions inside.
#include <algorithm>
#include <cstdint>
#include <exception>

#include "pyllm_tokenizer.h"
#include "tokenizer/bpe_rules.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/window_merger.h"

struct pyllm_merges {
  pyllm_merges(const pyllm::tokenizer::Rule* rules, size_t n) : table(rules, n) {}
  pyllm::tokenizer::MergeTable table;
};

namespace {

constexpr int64_t kBadEnds = -1;
constexpr int64_t kNoMemory = -2;
constexpr int64_t kMaxWord = INT32_MAX;  // positions in a word are 32-bit

bool are_ends_valid(const int64_t* ends, int64_t n_words) {
  int64_t begin = 0;
  for (int64_t w = 0; w < n_words; begin = ends[w++]) {
    if (ends[w] < begin || ends[w] - begin > kMaxWord) return false;
  }
  return true;
}

pyllm::tokenizer::Strings as_strings(const pyllm_strings* strings) {
  return {strings->data, strings->start, strings->ends, strings->n};
}

}  // namespace

pyllm_merges* pyllm_merges_new(const int32_t* rules, int64_t n) {
  static_assert(sizeof(pyllm::tokenizer::Rule) == 4 * sizeof(int32_t));
  if (n < 0 || std::any_of(rules, rules + 4 * n, [](int32_t value) { return value < 0; })) {
    return nullptr;
  }
  try {
    const auto* first = reinterpret_cast<const pyllm::tokenizer::Rule*>(rules);
    return new pyllm_merges(first, static_cast<size_t>(n));
  } catch (const std::exception&) {
    return nullptr;
  }
}

void pyllm_merges_free(pyllm_merges* merges) { delete merges; }

int64_t pyllm_merge_words(const pyllm_merges* merges, const int32_t* symbols, const int64_t* ends,
                          int64_t n_words, int32_t* out, int64_t* out_ends) {
  if (!are_ends_valid(ends, n_words)) return kBadEnds;
  try {
    pyllm::tokenizer::WindowMerger merger(merges->table);
    int64_t begin = 0;
    int64_t written = 0;
    for (int64_t w = 0; w < n_words; begin = ends[w++]) {
      const auto length = static_cast<size_t>(ends[w] - begin);
      written += static_cast<int64_t>(merger.merge(symbols + begin, length, out + written));
      out_ends[w] = written;
    }
    return written;
  } catch (const std::exception&) {
    return kNoMemory;
  }
}

int64_t pyllm_bpe_rules(const pyllm_strings* tokens, const pyllm_strings* lines, int32_t* rules) {
  try {
    auto* out = reinterpret_cast<pyllm::tokenizer::Rule*>(rules);
    return pyllm::tokenizer::read_rules(as_strings(tokens), as_strings(lines), out);
  } catch (const std::exception&) {
    return kNoMemory;
  }
}

int64_t pyllm_bpe_unmerged(const pyllm_merges* merges, const pyllm_strings* tokens,
                           const int32_t* ids, int64_t n, const int32_t* symbols, int32_t* out) {
  try {
    return pyllm::tokenizer::unmerged_words(merges->table, as_strings(tokens), ids, n, symbols,
                                            out);
  } catch (const std::exception&) {
    return kNoMemory;
  }
}
