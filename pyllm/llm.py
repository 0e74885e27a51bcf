"""`LLM`: a model, ready to continue prompts. The object most programs use."""

from __future__ import annotations

import numbers
import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pyllm.chat import ChatRenderer, as_conversations, is_conversation
from pyllm.checks import check_integer
from pyllm.engine import Engine, EngineModel
from pyllm.engine_thread import EngineThread, Message
from pyllm.errors import PyLLMError, RequestError
from pyllm.generation_progress import GenerationProgress
from pyllm.kv_types import choose_kv_types
from pyllm.loader import load_model
from pyllm.outputs import Delta, RequestOutput
from pyllm.prefix_order import sharers_together
from pyllm.progress import ProgressBar
from pyllm.prompts import Encoded, Prompt, Prompts, as_prompt_list, cache_salt, encode_prompt
from pyllm.request import Request
from pyllm.sampling import DefaultMaxTokens, RequestOutputKind, SamplingParams
from pyllm.special_text import Messages
from pyllm.speculation.config import read_speculative_config
from pyllm.speculation.make import make_proposer
from pyllm.speculation.proposer import Proposer

if TYPE_CHECKING:
    import os

    from pyllm.prefix_store import PrefixStore
    from pyllm.tokenizer import Tokenizer

_Inbox: TypeAlias = "queue.SimpleQueue[Message]"


DECODE_SLOWDOWN = 2.0  # a reader hardly notices a token that takes twice as long


class LLM:
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
        speculative_config: Mapping[str, object] | bool | None = None,
        seed: int = 0,
    ) -> None:
        kv_types = choose_kv_types(kv_cache_dtype, cache_type_k, cache_type_v)
        if enable_prefix_caching not in (True, False):
            limit = "must be True or False"
            raise RequestError("enable_prefix_caching", enable_prefix_caching, limit)
        speculation = read_speculative_config(speculative_config)
        check_integer("max_num_seqs", max_num_seqs, 1, 2**31 - 1)
        check_integer("max_num_batched_tokens", max_num_batched_tokens, 1, 2**31 - 1)
        check_integer("seed", seed, -(2**63), 2**64 - 1)
        _check_slowdown(max_decode_slowdown)
        if max_num_batched_tokens < max_num_seqs:  # before loading: that takes a while
            limit = f"must be at least max_num_seqs ({max_num_seqs})"
            raise RequestError("max_num_batched_tokens", max_num_batched_tokens, limit)
        with ProgressBar("packing", in_bytes=True) as progress:
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
    ) -> Self:
        """An LLM over a model that is loaded already; closing the LLM closes the model.

        proposer  guesses tokens, see speculation/; None: no speculation. Closed with the LLM
        """
        _check_slowdown(max_decode_slowdown)
        llm = cls.__new__(cls)
        llm._start(
            model,
            proposer,
            seed=seed,
            max_decode_slowdown=max_decode_slowdown,
            enable_prefix_caching=enable_prefix_caching,
            prefix_store=prefix_store,
        )
        return llm

    def _start(self, model: EngineModel, proposer: Proposer | None, **options: Any) -> None:
        self.model = model
        self._proposer = proposer
        self._chat = ChatRenderer(model.tokenizer)
        self._engine: Engine | None = Engine(model, proposer=proposer, **options)
        self._thread = EngineThread(self._engine)

    @property
    def engine(self) -> Engine:
        """Makes requests; only the engine's own thread may step it. PyLLMError once closed."""
        if self._engine is None:
            raise PyLLMError("this LLM is closed")
        return self._engine

    @property
    def thread(self) -> EngineThread:
        """The thread that owns the engine: what else hands it requests goes through here."""
        return self._thread

    @property
    def kv_cache_bytes(self) -> int:
        """Size of the pool of keys and values; chosen at start, it never grows."""
        return self.model.kv_cache_bytes

    def generate(
        self,
        prompts: Prompts,
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        parse_special: bool = False,
        use_tqdm: bool = True,
        priority: int | Sequence[int] = 0,
    ) -> list[RequestOutput]:
        """Continue each prompt; results in the order of the prompts.

        A prompt is text, a list of token ids, {"prompt": text} or {"prompt_token_ids": ids}.
        A dictionary may have a "cache_salt" too: what is cached of a prompt, and the time it saves,
        is seen only by prompts with the same salt.
        `parse_special` reads "<|im_start|>" and its like as tokens, for text that a template
        made; otherwise, as is right for text from users, they are plain text.
        Prompts that share a prefix are computed close together, which changes no result.
        `use_tqdm` shows progress on a terminal's stderr when it takes over a second.
        `priority`, one for all or one for each, says who goes first: the lower.
        Raises RequestError, ContextLengthError and TokenizerError before any work is done.
        """
        given = as_prompt_list(prompts)
        encoded = [
            encode_prompt(prompt, self.model.tokenizer, parse_special=parse_special)
            for prompt in given
        ]
        params = _params_for(len(encoded), sampling_params, SamplingParams())
        priorities = _priorities_for(len(encoded), priority)
        salts = list(map(cache_salt, given))
        return self._run(encoded, params, priorities, salts, use_tqdm=use_tqdm)

    def chat(
        self,
        messages: Messages | Sequence[Messages],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        use_tqdm: bool = True,
        priority: int | Sequence[int] = 0,
        **template_options: Any,
    ) -> list[RequestOutput]:
        """Answer one conversation or several; max_tokens defaults to the rest of the context.

        messages  [{"role": "user", "content": "…"}, …]
        template_options  chat_template, add_generation_prompt, tools, chat_template_kwargs
        Raises TemplateError too, when the model has no chat template or the template fails.
        """
        encoded = [self._chat.encode(m, **template_options) for m in as_conversations(messages)]
        params = _params_for(len(encoded), sampling_params, SamplingParams(max_tokens=None))
        priorities = _priorities_for(len(encoded), priority)
        salts = [None] * len(encoded)
        return self._run(encoded, list(map(for_chat, params)), priorities, salts, use_tqdm=use_tqdm)

    def stream(
        self,
        prompt: Prompt | Messages,
        sampling_params: SamplingParams | None = None,
        *,
        parse_special: bool = False,
        priority: int = 0,
        **template_options: Any,
    ) -> Iterator[Delta]:
        """Continue one prompt, or answer one conversation, yielding text as it is written.

        Checks its arguments at once (same errors as `generate` and `chat`), starts when iterated.
        Closing the iterator, or leaving it to the garbage collector, ends the request.
        """
        params = _params_for(1, sampling_params, SamplingParams())[0]
        if is_conversation(prompt):
            if parse_special:
                limit = "applies to a plain prompt; what a template writes is parsed anyway"
                raise RequestError("parse_special", True, limit)
            encoded = self._chat.encode(prompt, **template_options)
            params = for_chat(params)
        elif template_options:
            field, value = next(iter(template_options.items()))
            raise RequestError(field, value, "applies to messages, not to a plain prompt")
        else:
            encoded = encode_prompt(prompt, self.model.tokenizer, parse_special=parse_special)
        params = replace(params, output_kind=RequestOutputKind.DELTA)
        check_priority(priority)
        salt = cache_salt(prompt)
        request = self.engine.make_request(*encoded, params, priority=priority, cache_salt=salt)
        return self._deltas(request)

    def get_tokenizer(self) -> Tokenizer:
        return self.model.tokenizer

    def close(self) -> None:
        """End requests in flight, stop the engine and free the model. May be repeated."""
        self._thread.close()
        self._engine = None  # its views of the columns would keep the program's memory
        self.model.close()
        if self._proposer is not None:
            self._proposer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(
        self,
        encoded: list[Encoded],
        params: list[SamplingParams],
        priorities: list[int],
        salts: Sequence[str | None],
        *,
        use_tqdm: bool,
    ) -> list[RequestOutput]:
        final = RequestOutputKind.FINAL_ONLY
        requests = [
            self.engine.make_request(
                text, ids, replace(p, output_kind=final), priority=priority, cache_salt=salt
            )
            for (text, ids), p, priority, salt in zip(
                encoded, params, priorities, salts, strict=True
            )
        ]
        encoded.clear()  # thousands of prompts are held once
        order = [request.request_id for request in requests]
        progress = GenerationProgress(requests, shown=use_tqdm)
        results: dict[str, RequestOutput] = {}
        inbox: _Inbox = queue.SimpleQueue()
        try:
            self._thread.submit(sharers_together(requests), inbox)
            del requests  # each goes when it is finished
            with progress:
                while len(results) < len(order):
                    with suppress(queue.Empty):
                        output = _opened(inbox.get(timeout=progress.patience))
                        results[output.request_id] = output
                        progress.finish(output)
                    progress.show()
        finally:  # an interrupt or a failure: the others must not go on for nobody
            if progress.unfinished:
                self._thread.abort(progress.unfinished)
        return [results[request_id] for request_id in order]

    def _deltas(self, request: Request) -> Iterator[Delta]:
        inbox: _Inbox = queue.SimpleQueue()
        finished = False
        try:
            self._thread.submit([request], inbox)
            while not finished:
                output = _opened(inbox.get())
                finished = output.finished
                yield from _as_deltas(output)
        finally:
            if not finished:
                self._thread.abort([request.request_id])


def _opened(message: Message) -> RequestOutput:
    if isinstance(message, PyLLMError):
        # A copy: several callers may hear the same error, each with a traceback of its own.
        raise copy(message)
    return message


def _as_deltas(output: RequestOutput) -> Iterator[Delta]:
    last = len(output.outputs) - 1
    for position, part in enumerate(output.outputs):
        yield Delta(
            index=part.index,
            text=part.text,
            token_ids=part.token_ids,
            logprobs=part.logprobs,
            finish_reason=part.finish_reason,
            stop_reason=part.stop_reason,
            finished=output.finished and position == last,
            request_id=output.request_id,
            prompt_token_ids=output.prompt_token_ids,
            metrics=output.metrics,
            num_cached_tokens=output.num_cached_tokens,
        )


def _params_for(
    count: int, given: SamplingParams | Sequence[SamplingParams] | None, default: SamplingParams
) -> list[SamplingParams]:
    params = default if given is None else given
    if isinstance(params, SamplingParams):
        return [params] * count
    if not isinstance(params, Sequence) or not all(isinstance(p, SamplingParams) for p in params):
        raise RequestError("sampling_params", given, "must be SamplingParams or a list of them")
    if len(params) != count:
        limit = f"must be one for all or one for each of the {count} prompts"
        raise RequestError("sampling_params", f"{len(params)} of them", limit)
    return list(params)


def _priorities_for(count: int, given: int | Sequence[int]) -> list[int]:
    if isinstance(given, numbers.Integral):
        given = [int(given)] * count
    if not isinstance(given, Sequence) or len(given) != count:
        limit = f"must be one integer for all or one for each of the {count} prompts"
        raise RequestError("priority", given, limit)
    for priority in given:
        check_priority(priority)
    return list(given)


def check_priority(priority: int) -> None:
    check_integer("priority", priority, -(2**31), 2**31 - 1)


def _check_slowdown(value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and value > 1):  # type: ignore[operator]
        raise RequestError("max_decode_slowdown", value, "must be a number above 1, or None")


def for_chat(params: SamplingParams) -> SamplingParams:
    """An answer of 16 tokens is nobody's wish: unless asked for, chats run to their end."""
    if isinstance(params.max_tokens, DefaultMaxTokens):
        return replace(params, max_tokens=None)
    return params
