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

#ifdef __cplusplus
}
#endif

#endif /* PYLLM_CSRC_PYLLM_TOKENIZER_H_ */
