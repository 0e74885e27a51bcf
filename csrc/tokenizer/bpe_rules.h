// Reading a byte-level BPE vocabulary from the string arrays of a GGUF file.
#ifndef PYLLM_CSRC_TOKENIZER_BPE_RULES_H_
#define PYLLM_CSRC_TOKENIZER_BPE_RULES_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/merge_table.h"
#include "tokenizer/window_merger.h"

namespace pyllm::tokenizer {

// A GGUF string array: string i ends at data[ends[i]], 8 bytes of length lie before each.
struct Strings {
  const uint8_t* data;
  int64_t start;
  const int64_t* ends;
  int64_t n;

  std::string_view at(int64_t i) const {
    const int64_t begin = (i == 0 ? start : ends[i - 1]) + 8;
    return {reinterpret_cast<const char*>(data) + begin, static_cast<size_t>(ends[i] - begin)};
  }
};

// The id of each text that is not empty; texts are distinct. Open addressing, at most half full.
class TextIds {
 public:
  explicit TextIds(const Strings& texts)
      : texts_(texts),
        mask_(std::bit_ceil(2 * static_cast<size_t>(texts.n) + 2) - 1),
        slots_(mask_ + 1, Slot{0, -1}) {
    for (int64_t i = 0; i < texts.n; ++i) {
      if (texts.at(i).empty()) continue;
      const uint32_t hash = hash_of(texts.at(i));
      size_t at = hash & mask_;
      while (slots_[at].id >= 0) at = (at + 1) & mask_;
      slots_[at] = {hash, static_cast<int32_t>(i)};
    }
  }

  // -1: no such text.
  int32_t find(std::string_view text) const {
    const uint32_t hash = hash_of(text);
    for (size_t at = hash & mask_; slots_[at].id >= 0; at = (at + 1) & mask_) {
      if (slots_[at].hash == hash && texts_.at(slots_[at].id) == text) return slots_[at].id;
    }
    return -1;
  }

 private:
  struct Slot {
    uint32_t hash;
    int32_t id;
  };

  static uint32_t hash_of(std::string_view text) {
    const uint64_t hash = std::hash<std::string_view>{}(text);
    return static_cast<uint32_t>(hash ^ (hash >> 32));
  }

  const Strings texts_;
  size_t mask_;
  std::vector<Slot> slots_;
};

// Rules from "left right" lines, the first of the highest rank; the number of the first line that
// is not two tokens whose joined text is a token, or -1.
inline int64_t read_rules(const Strings& tokens, const Strings& lines, Rule* rules) {
  const TextIds ids(tokens);
  std::string joined;
  for (int64_t i = 0; i < lines.n; ++i) {
    const std::string_view line = lines.at(i);
    const size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos) return i;
    joined.assign(line.substr(0, space));
    joined.append(line.substr(space + 1));
    const int32_t left = ids.find(line.substr(0, space));
    const int32_t right = ids.find(line.substr(space + 1));
    const int32_t result = ids.find(joined);
    if (left < 0 || right < 0 || result < 0) return i;
    rules[i] = {left, right, result, static_cast<int32_t>(i)};
  }
  return -1;
}

// The byte-level spelling of a token, one symbol per letter: symbols[letter] for the code points
// below 512, -2 for one that stands for no byte. False when the text has such a letter.
inline bool spelled_symbols(std::string_view text, const int32_t* symbols,
                            std::vector<int32_t>* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    auto point = static_cast<uint32_t>(static_cast<uint8_t>(text[i]));
    if (point >= 0x80) {  // two bytes of UTF-8, or a letter beyond 512
      if (point < 0xC0 || point >= 0xC8 || i + 1 == text.size()) return false;
      point = (point & 0x1F) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3F);
    }
    if (symbols[point] == -2) return false;
    out->push_back(symbols[point]);
  }
  return true;
}

// Which of `ids` are words that merging does not build although they are tokens; the number of
// them. Tokens that spell no bytes are none.
inline int64_t unmerged_words(const MergeTable& table, const Strings& tokens, const int32_t* ids,
                              int64_t n, const int32_t* symbols, int32_t* out) {
  WindowMerger merger(table);
  std::vector<int32_t> word;
  int64_t found = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!spelled_symbols(tokens.at(ids[i]), symbols, &word)) continue;
    bool missing = false;  // a byte that is no token
    for (const int32_t symbol : word) missing |= symbol < 0;
    if (!missing && merger.merge(word.data(), word.size(), word.data()) == 1 && word[0] == ids[i])
      continue;
    out[found++] = ids[i];
  }
  return found;
}

}  // namespace pyllm::tokenizer

#endif  // PYLLM_CSRC_TOKENIZER_BPE_RULES_H_
