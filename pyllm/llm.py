"""`LLM`: a model, ready to continue prompts. The object most programs use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pyllm.answers import deltas_of, outputs_of
from pyllm.call_arguments import (
    check_batch,
    check_priority,
    check_slowdown,
    for_chat,
    params_for,
    priorities_for,
    refuse_chat_options,
    refuse_prompt_options,
)
from pyllm.chat import as_conversations, is_conversation
from pyllm.checks import check_flag, check_integer
from pyllm.engine.model import EngineModel
from pyllm.engine_owner import EngineOwner
from pyllm.kv.types import choose_kv_types
from pyllm.loader import load_model
from pyllm.outputs import Delta, RequestOutput
from pyllm.pooling.embedding import PoolingJob, as_embedding, embedding_jobs
from pyllm.pooling.outputs import EmbeddingRequestOutput, ScoringRequestOutput
from pyllm.pooling.pooling import PoolingParams
from pyllm.progress import ProgressBar
from pyllm.prompts import Encoded, Prompt, Prompts, as_prompt_list, encode_prompt
from pyllm.prompts import cache_salt as salt_of
from pyllm.request import Request
from pyllm.sampling.beam_search import BeamSearchOutput, BeamSearchParams, search
from pyllm.sampling.params import MAX_LOGPROBS, LogitsProcessor, RequestOutputKind, SamplingParams
from pyllm.speculation.config import SpeculationWish, read_speculative_config
from pyllm.speculation.make import make_proposer
from pyllm.speculation.proposer import Proposer
from pyllm.text.special_text import Messages

if TYPE_CHECKING:
    from pyllm.kv.prefix_store import PrefixStore

DECODE_SLOWDOWN = 2.0  # a reader hardly notices a token that takes twice as long


class LLM(EngineOwner):
    """Loads a GGUF model and continues prompts, many at a time; vLLM's names.

    Thread-safe: calls from several threads share batches, and a request's result does not depend
    on what else runs. A request that is abandoned (Ctrl-C, a closed stream) frees its memory.

    model                   path of a GGUF file (the first part of a sharded one)
    num_threads             None: physical cores within the affinity mask and CPU quota
    num_threads_batch       threads of steps that read a prompt; None: as many as num_threads
    max_model_len           tokens of prompt and answer together; None: the model's, if it fits
    max_num_seqs            continuations computed at a time
    max_num_batched_tokens  tokens per step, the size of a prefill chunk
    kv_cache_dtype          how keys and values are stored: "auto" (f16), "f16", "bf16", "q8_0"
                            (1.88 x the tokens in the same memory) or "q4_0" (3.56 x)
    cache_type_k            of keys alone; None: kv_cache_dtype
    cache_type_v            of values alone; None: kv_cache_dtype
    kv_cache_bytes          memory for keys and values; None: at most a quarter of what is free
    enable_prefix_caching   keep what was computed of a prompt for others that begin like it
    prefix_cache_dir        keep it on disk too, for later starts; a directory of your own
    prefix_cache_bytes      of all files in that directory; None: 8 GiB
    packed_cache            keep packed weights in a file under ~/.cache/pyllm that later starts map
    max_decode_slowdown     how many times longer a step of running streams may take while a prompt
                            is read beside them; None: any. Results do not depend on it.
    speculative_config      how tokens are guessed ahead: the fields of SpeculativeConfig. None: by
                            prompt lookup; {"model": path}: by a smaller model; False: not at all.
                            The output is the same bit for bit, and what does not pay is left off
    seed                    seeds requests that bring no seed of their own, by order of arrival
    logits_processors       applied to every request, before its own; see SamplingParams
    max_logprobs            most of a token that a request may ask for; -1: any number, and the
                            whole vocabulary, of which one token takes 34 MB at 128k

    Raises ModelFileError, TokenizerError, RequestError, MemoryBudgetError, DeviceError, OSError.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        num_threads: int | None = None,
        num_threads_batch: int | None = None,
        max_model_len: int | None = None,
        max_num_seqs: int = 16,
        max_num_batched_tokens: int = 512,
        kv_cache_dtype: str = "auto",
        cache_type_k: str | None = None,
        cache_type_v: str | None = None,
        kv_cache_bytes: int | None = None,
        packed_cache: bool = False,
        enable_prefix_caching: bool = True,
        prefix_cache_dir: str | os.PathLike[str] | None = None,
        prefix_cache_bytes: int | None = None,
        max_decode_slowdown: float | None = DECODE_SLOWDOWN,
        speculative_config: SpeculationWish = None,
        seed: int = 0,
        logits_processors: Sequence[LogitsProcessor] | None = None,
        max_logprobs: int = MAX_LOGPROBS,
    ) -> None:
        kv_types = choose_kv_types(kv_cache_dtype, cache_type_k, cache_type_v)
        check_flag("enable_prefix_caching", enable_prefix_caching)
        speculation = read_speculative_config(speculative_config)
        check_batch(max_num_seqs, max_num_batched_tokens)  # before loading: that takes a while
        check_integer("seed", seed, -(2**63), 2**64 - 1)
        check_integer("max_logprobs", max_logprobs, -1, 2**31 - 1)
        check_slowdown(max_decode_slowdown)
        named = isinstance(model, str | os.PathLike)  # the loader refuses anything else
        name = f"packing {Path(model).name}" if named else "packing"
        with ProgressBar(name, in_bytes=True) as progress:
            loaded = load_model(
                model,
                num_threads=num_threads,
                num_threads_batch=num_threads_batch,
                max_model_len=max_model_len,
                max_num_seqs=max_num_seqs,
                max_num_batched_tokens=max_num_batched_tokens,
                kv_cache_bytes=kv_cache_bytes,
                kv_types=kv_types,
                packed_cache=packed_cache,
                prefix_cache_dir=prefix_cache_dir if enable_prefix_caching else None,
                prefix_cache_bytes=prefix_cache_bytes,
                speculation=speculation,
                progress=progress,
            )
        try:
            proposer = make_proposer(
                speculation,
                loaded,
                num_threads=num_threads,
                num_threads_batch=num_threads_batch,
                max_num_seqs=max_num_seqs,
                max_num_batched_tokens=max_num_batched_tokens,
                packed_cache=packed_cache,
            )
        except BaseException:
            loaded.close()
            raise
        self._start(
            loaded,
            proposer,
            seed=seed,
            max_decode_slowdown=max_decode_slowdown,
            enable_prefix_caching=enable_prefix_caching,
            prefix_store=loaded.prefix_store,
            logits_processors=logits_processors or (),
            max_logprobs=max_logprobs,
        )

    @classmethod
    def from_model(
        cls,
        model: EngineModel,
        *,
        seed: int = 0,
        max_decode_slowdown: float | None = DECODE_SLOWDOWN,
        enable_prefix_caching: bool = True,
        prefix_store: PrefixStore | None = None,
        proposer: Proposer | None = None,
        logits_processors: Sequence[LogitsProcessor] | None = None,
        max_logprobs: int = MAX_LOGPROBS,
    ) -> Self:
        """An LLM over a model that is loaded already; closing the LLM closes the model.

        proposer  guesses tokens, see speculation/; None: no speculation. Closed with the LLM
        """
        check_slowdown(max_decode_slowdown)
        check_integer("max_logprobs", max_logprobs, -1, 2**31 - 1)
        llm = cls.__new__(cls)
        llm._start(
            model,
            proposer,
            seed=seed,
            max_decode_slowdown=max_decode_slowdown,
            enable_prefix_caching=enable_prefix_caching,
            prefix_store=prefix_store,
            logits_processors=logits_processors or (),
            max_logprobs=max_logprobs,
        )
        return llm

    def generate(
        self,
        prompts: Prompts,
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        parse_special: bool = False,
        token_healing: bool = False,
        use_tqdm: bool = True,
        priority: int | Sequence[int] = 0,
    ) -> list[RequestOutput]:
        """Continue each prompt; results in the order of the prompts.

        A prompt is text, a list of token ids, {"prompt": text} or {"prompt_token_ids": ids}.
        A dictionary may have a "cache_salt" too: what is cached of a prompt, and the time it saves,
        is seen only by prompts with the same salt.
        `parse_special` reads "<|im_start|>" and its like as tokens, for text that a template
        made; otherwise, as is right for text from users, they are plain text.
        `token_healing` takes back the end of a prompt that was cut inside a word and lets the
        answer begin with it; texts begin where the prompt ends all the same.
        Prompts that share a prefix are computed close together, which changes no result.
        `use_tqdm` shows progress on a terminal's stderr when it takes over a second.
        `priority`, one for all or one for each, says who goes first: the lower.
        Raises RequestError, ContextLengthError and TokenizerError before any work is done.
        """
        encoded, salts = self._encoded(prompts, parse_special)
        params = params_for(len(encoded), sampling_params, SamplingParams())
        priorities = priorities_for(len(encoded), priority)
        return self._run(
            encoded, params, priorities, salts, use_tqdm=use_tqdm, token_healing=token_healing
        )

    def beam_search(
        self,
        prompts: Prompts,
        params: BeamSearchParams,
        *,
        parse_special: bool = False,
        use_tqdm: bool = False,
        priority: int | Sequence[int] = 0,
    ) -> list[BeamSearchOutput]:
        """The `beam_width` most probable continuations of each prompt, best first.

        Prompts and priority as in `generate`, and the same errors.
        """
        tokenizer = self.model.tokenizer
        encoded, salts = self._encoded(prompts, parse_special)
        priorities = priorities_for(len(encoded), priority)

        def generate(
            beams: list[list[int]], origins: list[int], sampling: SamplingParams
        ) -> list[RequestOutput]:
            return self._run(
                [(None, beam) for beam in beams],
                [sampling] * len(beams),
                [priorities[origin] for origin in origins],
                [salts[origin] for origin in origins],
                use_tqdm=use_tqdm,
            )

        outputs = search(
            [ids for _, ids in encoded],
            params,
            generate=generate,
            eog_ids=tokenizer.eog_ids,
            max_model_len=self.model.max_model_len,
        )
        for output in outputs:
            output.write_texts(tokenizer, params)
        return outputs

    def _encoded(
        self, prompts: Prompts, parse_special: bool
    ) -> tuple[list[Encoded], list[str | None]]:
        """Each prompt as text and ids, and its salt."""
        given, tokenizer = as_prompt_list(prompts), self.model.tokenizer
        encoded = [encode_prompt(p, tokenizer, parse_special=parse_special) for p in given]
        return encoded, list(map(salt_of, given))

    def chat(
        self,
        messages: Messages | Sequence[Messages],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        use_tqdm: bool = True,
        priority: int | Sequence[int] = 0,
        cache_salt: str | None = None,
        **template_options: Any,
    ) -> list[RequestOutput]:
        """Answer one conversation or several; max_tokens defaults to the rest of the context.

        messages  [{"role": "user", "content": "…"}, …]
        cache_salt  of all these conversations, as that of a prompt in `generate`
        template_options  chat_template, add_generation_prompt, continue_final_message, tools,
                          chat_template_kwargs
        With continue_final_message the last message is the beginning of the answer.
        Raises TemplateError too, when the model has no chat template or the template fails.
        """
        encoded = [self._chat.encode(m, **template_options) for m in as_conversations(messages)]
        params = params_for(len(encoded), sampling_params, SamplingParams(max_tokens=None))
        priorities = priorities_for(len(encoded), priority)
        salts = [cache_salt] * len(encoded)
        return self._run(encoded, list(map(for_chat, params)), priorities, salts, use_tqdm=use_tqdm)

    def embed(
        self,
        prompts: Prompts,
        pooling_params: PoolingParams | Sequence[PoolingParams] | None = None,
        *,
        parse_special: bool = False,
        use_tqdm: bool = True,
        priority: int | Sequence[int] = 0,
    ) -> list[EmbeddingRequestOutput]:
        """The embedding of each text, in the order of the texts; pooled as the model's file says.

        A file that does not say is pooled by its last token. Prompts and priority as in `generate`;
        the errors too, and RequestError for an empty text and for a model that only ranks.
        A text may fill the whole context.
        """
        jobs = embedding_jobs(
            prompts, pooling_params, self.model.tokenizer, parse_special=parse_special
        )
        outputs = self._pool(jobs, priorities_for(len(jobs), priority), use_tqdm=use_tqdm)
        return [as_embedding(out, job.params) for out, job in zip(outputs, jobs, strict=True)]

    def score(
        self,
        text_1: str | Sequence[str],
        text_2: str | Sequence[str],
        *,
        use_tqdm: bool = True,
        priority: int = 0,
    ) -> list[ScoringRequestOutput]:
        """How well texts belong together: one against one or many, or each against its partner.

        A model made for it ("rank") reads each pair, query first, and gives a probability; any
        other embeds each text, and the score is the cosine of the angle between two embeddings.
        Raises RequestError, ContextLengthError, TokenizerError and TemplateError before any work.
        """
        scoring = self.scorer.scoring(text_1, text_2)
        priorities = priorities_for(len(scoring.jobs), priority)
        return scoring.results(self._pool(scoring.jobs, priorities, use_tqdm=use_tqdm))

    def stream(
        self,
        prompt: Prompt | Messages,
        sampling_params: SamplingParams | None = None,
        *,
        parse_special: bool = False,
        token_healing: bool = False,
        priority: int = 0,
        cache_salt: str | None = None,
        **template_options: Any,
    ) -> Iterator[Delta]:
        """Continue one prompt, or answer one conversation, yielding text as it is written.

        Checks its arguments at once (same errors as `generate` and `chat`), starts when iterated.
        Closing the iterator, or leaving it to the garbage collector, ends the request.
        """
        params = params_for(1, sampling_params, SamplingParams())[0]
        if is_conversation(prompt):
            refuse_prompt_options(token_healing=token_healing, parse_special=parse_special)
            encoded = self._chat.encode(prompt, **template_options)
            params = for_chat(params)
        else:
            refuse_chat_options(cache_salt, template_options)
            encoded = encode_prompt(prompt, self.model.tokenizer, parse_special=parse_special)
            cache_salt = salt_of(prompt)
        params = replace(params, output_kind=RequestOutputKind.DELTA)
        check_priority(priority)
        request = self.engine.make_request(
            *encoded,
            params,
            priority=priority,
            cache_salt=cache_salt,
            token_healing=token_healing,
        )
        return deltas_of(self._thread, request)

    def _pool(
        self, jobs: Sequence[PoolingJob], priorities: Sequence[int], *, use_tqdm: bool
    ) -> list[RequestOutput]:
        make = self.engine.make_pooling_request
        requests: list[Request] = [
            make(*job.encode(), job.params, priority=priority, cache_salt=job.salt)
            for job, priority in zip(jobs, priorities, strict=True)
        ]
        return outputs_of(self._thread, requests, use_tqdm=use_tqdm)

    def _run(
        self,
        encoded: list[Encoded],
        params: list[SamplingParams],
        priorities: list[int],
        salts: Sequence[str | None],
        *,
        use_tqdm: bool,
        token_healing: bool = False,
    ) -> list[RequestOutput]:
        final = RequestOutputKind.FINAL_ONLY
        requests = [
            self.engine.make_request(
                text,
                ids,
                replace(p, output_kind=final),
                priority=priority,
                cache_salt=salt,
                token_healing=token_healing,
            )
            for (text, ids), p, priority, salt in zip(
                encoded, params, priorities, salts, strict=True
            )
        ]
        encoded.clear()  # thousands of prompts are held once
        return outputs_of(self._thread, requests, use_tqdm=use_tqdm)
