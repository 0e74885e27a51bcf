"""Several tokens in one step: guess them, compute them together, keep those that were right.

A step computes the last token of a sequence and k guesses as k + 1 rows, and each row samples its
own token, with the random numbers of its position and the penalties and biases that the tokens
before it call for. The logits of a row do not depend on what else is in its step, so as long as the
sampled token equals the guess the next row is exactly the one that a later step would have
computed. The first token that differs is kept too; rows after it are void, and their keys and
values are written over when their positions are computed again.

So what is sampled, greedy or not, and every log-probability is the same bit for bit as without
speculation; that the distribution is the same follows. Measured times decide only how much is
guessed.
"""
