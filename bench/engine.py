"""Requests at a time through the whole engine: tokens per second of all together, and the peers'.

    python bench/engine.py MODEL.gguf --peer llama.cpp=~/llama.cpp/bin/llama-batched-bench

`LLM.generate` of N prompts of 128 random tokens that sample 64 more each (temperature 0.8, top_k
40) and turn them into text: threads, scheduling, sampling and detokenizing are in the time. All
prompts are read in one step, so that all requests decode together, as the peers' sequences do in
llama-batched-bench, which takes the best token or none; only generating is timed. Writes markdown;
--json appends lines, of which bench/report.py makes a table and a picture.
"""

from __future__ import annotations

from batched_runs import GENERATE, PROMPT, Run, measure, parser
from contenders import pyllm

SAMPLING = {"temperature": 0.8, "top_k": 40}


def main() -> None:
    args = parser(__doc__).parse_args()
    most = max(args.sequences)
    limits = {
        "sequences": most,
        "context": PROMPT + GENERATE,
        "max_num_batched_tokens": most * PROMPT,
    }
    engine = pyllm(args.model, args.threads, limits, args.isa)
    request = {"sampling": SAMPLING}
    measure([Run(args, sequences, "engine", request) for sequences in args.sequences], engine)


if __name__ == "__main__":
    main()
