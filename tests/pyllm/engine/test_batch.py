"""Batch: every column says what C++ must read, also when only little changed since last time."""

from itertools import pairwise

import numpy as np

from pyllm.engine.batch import Batch
from pyllm.engine.sequence import Sequence
from pyllm.sampling.history import TokenHistory
from pyllm.sampling.params import SamplingParams
from pyllm.sampling.token_bias import TokenBias
from tests.pyllm.fake_program import FakeModel


def sequence_of(tokens, *, computed=0, scheduled=None, blocks=(), seed=5, stop_ids=(), **params):
    params = SamplingParams(**params)
    history = TokenHistory(tokens) if params.has_penalties else None
    bias = None
    if params.logit_bias or params.min_tokens:
        bias = TokenBias(params.logit_bias or {}, stop_ids)
    stop_ids = frozenset(stop_ids)
    sequence = Sequence("r", params, seed, len(tokens), stop_ids, history, bias, list(tokens))
    sequence.num_computed_tokens = computed
    sequence.num_scheduled_tokens = len(tokens) - computed if scheduled is None else scheduled
    sequence.block_table = list(blocks)
    return sequence


def make():
    columns = FakeModel().program.columns
    return Batch(columns), columns


def test_tokens_positions_starts_and_rows_of_a_mixed_step():
    batch, columns = make()
    decode = sequence_of([1, 2, 3], computed=2, blocks=[4])
    chunk = sequence_of([5, 6, 7, 8, 9], computed=1, scheduled=3, blocks=[7, 1])
    whole = sequence_of([10, 11], blocks=[2])
    step = batch.fill([decode, chunk, whole])
    assert (step.n_tokens, step.n_seqs, step.rows) == (6, 3, [decode, whole])
    assert columns["tokens"][:6].tolist() == [3, 6, 7, 8, 10, 11]
    assert columns["positions"][:6].tolist() == [2, 1, 2, 3, 0, 1]
    assert columns["seq_starts"][:4].tolist() == [0, 1, 4, 6]
    assert columns["logit_rows"][:2].tolist() == [0, 5]
    assert columns["rng_position"][:2].tolist() == [3, 2]
    assert columns["block_tables"][0, :1].tolist() == [4]
    assert columns["block_tables"][1, :2].tolist() == [7, 1]
    assert columns["block_tables"][2, :1].tolist() == [2]


def test_sampling_columns():
    batch, columns = make()
    batch.fill(
        [
            sequence_of([1], temperature=1e-6, top_k=-1, logprobs=3, seed=2**64 - 1),
            sequence_of(
                [1], temperature=0.5, top_k=7, top_p=0.9, min_p=0.1,
                repetition_penalty=1.1, presence_penalty=0.2, frequency_penalty=0.3,
            ),
        ]
    )  # fmt: skip
    assert columns["temperature"][:2].tolist() == [0.0, 0.5]
    assert columns["top_k"][:2].tolist() == [0, 7]
    assert columns["n_logprobs"][:2].tolist() == [3, -1]
    assert columns["seed"][:2].tolist() == [2**64 - 1, 5]
    for name, value in [
        ("top_p", 0.9), ("min_p", 0.1), ("repetition_penalty", 1.1),
        ("presence_penalty", 0.2), ("frequency_penalty", 0.3),
    ]:  # fmt: skip
        assert columns[name][1] == np.float32(value)


def test_a_table_that_grew_is_extended():
    batch, columns = make()
    sequence = sequence_of([1, 2], computed=1, blocks=[3])
    batch.fill([sequence])
    sequence.block_table += [9, 8]
    batch.fill([sequence])
    assert columns["block_tables"][0, :3].tolist() == [3, 9, 8]


def test_a_row_taken_over_gets_the_new_table_and_parameters():
    batch, columns = make()
    batch.fill([sequence_of([1], blocks=[3, 4], temperature=0.7)])
    batch.fill([sequence_of([1], blocks=[5], temperature=0.2)])
    assert columns["block_tables"][0, 0] == 5
    assert columns["temperature"][0] == np.float32(0.2)


def test_a_table_replaced_by_preemption_is_rewritten():
    batch, columns = make()
    sequence = sequence_of([1], blocks=[3])
    batch.fill([sequence])
    sequence.block_table = [6]  # as long as the old one, so its length gives no hint
    batch.fill([sequence])
    assert columns["block_tables"][0, 0] == 6


def test_history_of_rows_with_and_without_penalties():
    batch, _ = make()
    plain = sequence_of([8, 8, 9])
    penal = sequence_of([4, 5, 4], presence_penalty=1.0)
    penal.history.add(5)
    penal.history.add(6)
    offsets, tokens, counts = batch.fill([plain, penal, sequence_of([1])]).history
    assert offsets.tolist() == [0, 0, 3, 3]
    assert tokens.tolist() == [4, 5, 6]
    assert counts.tolist() == [0, 1, 1]
    assert offsets.dtype == tokens.dtype == counts.dtype == np.int32


def test_nothing_is_sent_when_nothing_is_biased_or_penalised():
    step = make()[0].fill([sequence_of([1])])
    assert step.history is None
    assert step.bias is None


def test_bias_and_min_tokens():
    batch, _ = make()
    biased = sequence_of([1], logit_bias={7: 2.5, 3: -1.0})
    young = sequence_of([1], stop_ids=[9], min_tokens=1, logit_bias={9: 50.0})
    offsets, tokens, values = batch.fill([biased, young]).bias
    assert offsets.tolist() == [0, 2, 3]
    assert tokens.tolist() == [7, 3, 9]
    assert values.tolist()[:2] == [2.5, -1.0]
    assert values[2] < -1e29
    assert values.dtype == np.float32
    young.tokens.append(2)  # min_tokens reached: the caller's own bias is back
    young.num_computed_tokens = young.num_scheduled_tokens = 1
    assert batch.fill([biased, young]).bias[2].tolist() == [2.5, -1.0, 50.0]


def test_a_step_without_rows():
    step = make()[0].fill([sequence_of([1, 2, 3], scheduled=2, presence_penalty=1.0)])
    assert step.rows == []
    assert step.history is None


def test_a_draft_has_a_row_for_each_guess_and_one_before():
    batch, columns = make()
    plain = sequence_of([1, 2], computed=1, blocks=[3])
    guessing = sequence_of([5, 6, 7], computed=2, scheduled=4, blocks=[4], temperature=0.5)
    guessing.draft = [8, 9, 10]
    step = batch.fill([plain, guessing])
    assert (step.n_tokens, step.n_seqs, step.rows) == (5, 2, [plain, *[guessing] * 4])
    assert columns["tokens"][:5].tolist() == [2, 7, 8, 9, 10]
    assert columns["positions"][:5].tolist() == [1, 2, 3, 4, 5]
    assert columns["logit_rows"][:5].tolist() == [0, 1, 2, 3, 4]
    assert columns["rng_position"][:5].tolist() == [2, 3, 4, 5, 6]
    assert columns["temperature"][:5].tolist() == [1.0, 0.5, 0.5, 0.5, 0.5]


def test_each_row_of_a_draft_has_seen_the_guesses_before_it():
    batch, _ = make()
    sequence = sequence_of(
        [4, 5], computed=1, scheduled=3, stop_ids=[2], presence_penalty=1.0, min_tokens=2
    )
    sequence.draft = [5, 6]
    step = batch.fill([sequence])
    offsets, tokens, counts = step.history
    rows = [slice(*pair) for pair in pairwise(offsets)]
    assert [tokens[row].tolist() for row in rows] == [[4, 5], [4, 5], [4, 5, 6]]
    assert [counts[row].tolist() for row in rows] == [[0, 0], [0, 1], [0, 1, 1]]
    assert step.bias[0].tolist() == [0, 1, 2, 2]  # the third token may be the end
