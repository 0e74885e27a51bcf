/* The plain C interface of pyllm's tokenizer core: merging symbols into tokens, as BPE and
 * SentencePiece vocabularies do. Calls on one table may run in several threads at once. */
#ifndef PYLLM_CSRC_PYLLM_TOKENIZER_H_
#define PYLLM_CSRC_PYLLM_TOKENIZER_H_

#include <stdint.h>

#include "pyllm_kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pyllm_merges pyllm_merges;

/* rules: int32[n][4], each row (left, right, result, rank): two neighbouring symbols become
 * `result`, lowest rank first, leftmost first among equals. Symbols and ranks are >= 0; of two rows
 * with the same pair the first counts. NULL when a value is negative or memory is short. */
PYLLM_API pyllm_merges* pyllm_merges_new(const int32_t* rules, int64_t n);
PYLLM_API void pyllm_merges_free(pyllm_merges* merges);

/* Merges each word by itself. Word w is symbols[ends[w - 1]..ends[w]) (from 0 for w = 0); its
 * tokens go to out[out_ends[w - 1]..out_ends[w]). `out` has room for ends[n_words - 1] tokens and
 * may be `symbols`. Returns the number of tokens, -1 for decreasing ends or a word of 2^31 symbols,
 * -2 when memory is short. */
PYLLM_API int64_t pyllm_merge_words(const pyllm_merges* merges, const int32_t* symbols,
                                    const int64_t* ends, int64_t n_words, int32_t* out,
                                    int64_t* out_ends);

/* The string arrays of a GGUF file that describe a byte-level BPE vocabulary, already checked: the
 * first string begins at data[start], string i ends at data[ends[i]], 8 bytes of length precede
 * each. */
typedef struct pyllm_strings {
  const uint8_t* data;
  int64_t start;
  const int64_t* ends;
  int64_t n;
} pyllm_strings;

/* Rules for pyllm_merges_new from lines "left right", the first of rank 0; tokens that are not
 * empty are distinct. Returns the number of the first line that is not two tokens whose joined text
 * is a token, else -1; -2 when memory is short. */
PYLLM_API int64_t pyllm_bpe_rules(const pyllm_strings* tokens, const pyllm_strings* lines,
                                  int32_t* rules);

/* Writes those of the n tokens `ids` that merging the letters of their text does not build; tokens
 * with a letter that stands for no byte are left out. symbols: int32[512], by code point: the token
 * of the letter's byte, -1 when that is no token, -2 for no letter. Returns how many, -2 when
 * memory is short. */
PYLLM_API int64_t pyllm_bpe_unmerged(const pyllm_merges* merges, const pyllm_strings* tokens,
                                     const int32_t* ids, int64_t n, const int32_t* symbols,
                                     int32_t* out);

#ifdef __cplusplus
}
#endif

#endif /* PYLLM_CSRC_PYLLM_TOKENIZER_H_ */
