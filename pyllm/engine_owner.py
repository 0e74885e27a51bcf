"""What owns an engine: the model, the thread that steps it, and how all of it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pyllm.chat import ChatRenderer
from pyllm.engine.engine import Engine
from pyllm.engine.model import EngineModel
from pyllm.engine.stats import EngineStats
from pyllm.engine.thread import EngineThread
from pyllm.errors import PyLLMError
from pyllm.kv.window import KVWindow
from pyllm.pooling.scoring import Scorer
from pyllm.speculation.proposer import Proposer

if TYPE_CHECKING:
    from pyllm.tokenizer import Tokenizer

__all__ = ["EngineOwner"]


class EngineOwner:
    """The part of `LLM` that is not about requests."""

    def _start(self, model: EngineModel, proposer: Proposer | None, **options: Any) -> None:
        self.model = model
        self._proposer = proposer
        self._chat = ChatRenderer(model.tokenizer)
        self.scorer = Scorer(model)
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

    def stats(self) -> EngineStats:
        """What the engine does and has done. Any thread may ask, also after `close`."""
        return self._thread.stats()

    @property
    def kv_cache_bytes(self) -> int:
        """Size of the pool of keys and values; chosen at start, it never grows."""
        return self.model.kv_cache_bytes

    @property
    def kv_sequence_bytes(self) -> int:
        """Of it, what a text of max_model_len tokens holds at most: its window, if there is one."""
        model = self.model
        chunk = len(model.program.columns["tokens"])
        blocks = KVWindow(model.kv_window, model.block_size).most_blocks(model.max_model_len, chunk)
        return model.kv_cache_bytes // model.num_kv_blocks * blocks

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

    def __exit__(self, *_: object) -> None:
        self.close()
