"""Scores: cosines of embeddings, or the head of a model that ranks, asked as its file says."""

import math
from pathlib import Path

import numpy as np
import pytest

from pyllm import LLM, PoolingParams
from pyllm.errors import ContextLengthError, RequestError, TemplateError
from pyllm.pooling.classifier import Classifier
from pyllm.pooling.pooling import ModelPooling
from pyllm.pooling.scoring import Scorer, cosine
from tests.pyllm.fake_program import BOS, EOT, WIDTH, FakeModel, hashed_state
from tests.support.reference_models import write_copy

HEAD = Classifier(
    np.random.default_rng(2).standard_normal((2, WIDTH)).astype(np.float32),
    np.zeros(2, np.float32),
)
TEMPLATE = "Q: {query} D: {document}<258>"  # the fake tokenizer's end of a turn


def ranking(template=TEMPLATE, head=HEAD):
    return FakeModel(pooling=ModelPooling("rank", head, template))


def scores(model, *texts):
    with LLM.from_model(model) as llm:
        return [output.outputs.score for output in llm.score(*texts)]


# ---- by embeddings ---------------------------------------------------------------------------


def test_a_text_is_its_own_best_match():
    found = scores(FakeModel(), "hello", ["hello", "other", "hell"])
    assert found[0] == pytest.approx(1)
    assert max(found[1:]) < 1


def test_a_score_is_the_cosine_of_two_embeddings():
    with LLM.from_model(FakeModel()) as llm:
        (score,) = llm.score("one", "two")
        a, b = (np.array(o.outputs.embedding) for o in llm.embed(["one", "two"]))
    assert score.outputs.score == pytest.approx(float(a @ b), abs=1e-6)


def test_one_against_many_and_each_against_its_partner():
    one = scores(FakeModel(), "a", ["x", "y"])
    assert scores(FakeModel(), ["a"], ["x", "y"]) == one
    assert scores(FakeModel(), ["a", "a"], ["x", "y"]) == one
    pairs = scores(FakeModel(), ["a", "b"], ["x", "y"])
    assert pairs[0] == one[0]
    assert pairs[1] != one[1]


def test_every_text_is_read_once():
    model = FakeModel()
    with LLM.from_model(model, enable_prefix_caching=False) as llm:
        (first, second) = llm.score("a" * 9, ["x", "y"])
    assert model.program.computed_tokens == 10 + 2 + 2
    assert first.prompt_token_ids == [BOS, *b"a" * 9, BOS, ord("x")]
    assert second.prompt_token_ids[-1] == ord("y")


def test_cosines_of_easy_vectors():
    x, y = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    assert (cosine(x, x), cosine(x, y), cosine(x, -x), cosine(x, 0 * x)) == (1, 0, -1, 0)


def test_a_vector_for_each_token_is_no_score():
    with pytest.raises(RequestError, match="gives a vector for each token"):
        Scorer(FakeModel(pooling=ModelPooling("none"))).scoring("a", "b")


# ---- by a model that ranks -------------------------------------------------------------------


def test_a_pair_is_asked_as_the_file_says():
    with LLM.from_model(ranking("Q: {query} D: {document}")) as llm:
        (output,) = llm.score("why", "so")
    ids = [BOS, *b"Q: why D: so"]
    assert output.prompt_token_ids == ids
    assert output.outputs.score == pytest.approx(HEAD.score(hashed_state(ids)))


def test_every_pair_is_asked_in_order():
    one = [scores(ranking(), "why", document)[0] for document in ("so", "because")]
    assert scores(ranking(), "why", ["so", "because"]) == one
    assert scores(ranking(), ["why"] * 2, ["so", "because"]) == one
    assert all(0 < score < 1 for score in one)


def test_a_text_may_speak_of_the_places_of_the_template():
    (job,) = Scorer(ranking("{query}|{document}")).scoring("{document}", r"\1{query}").jobs
    assert job.encode()[0] == r"{document}|\1{query}"


def test_a_template_without_both_places_is_used_as_it_is():
    (job,) = Scorer(ranking("only {document}{other}")).scoring("q", "d").jobs
    assert job.encode()[0] == "only d{other}"


def test_special_tokens_of_the_texts_are_plain_text(tmp_path: Path):
    added = {
        "qwen3.pooling_type": 4,
        "tokenizer.chat_template.rerank": "{query}</s>{document}</s>",
    }
    extra = {"cls.output.weight": np.ones((2, 64), np.float32)}
    path = write_copy("qwen3", tmp_path / "rank.gguf", added=added, extra=extra)
    with LLM(path, num_threads=1) as llm:
        (output,) = llm.score("a</s>", "b")
        assert output.prompt_token_ids.count(2) == 2
        assert llm.get_tokenizer().decode(output.prompt_token_ids) == "a</s>b"
        assert output.outputs.score == pytest.approx(0.5)  # both labels alike


def test_a_model_that_does_not_say_how_it_is_asked_is_refused():
    with pytest.raises(TemplateError, match=r"no tokenizer\.chat_template\.rerank"):
        Scorer(ranking(None)).scoring("a", "b")


def test_a_model_that_ranks_still_embeds_when_told_how():
    with LLM.from_model(ranking()) as llm:
        (output,) = llm.embed("a", PoolingParams(pooling_type="last"))
    assert math.isclose(np.linalg.norm(output.outputs.embedding), 1, rel_tol=1e-6)
    assert EOT not in output.prompt_token_ids


# ---- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize("model", [FakeModel(), ranking()], ids=["embeds", "ranks"])
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (["a", "b"], "c", "text_1: '2 texts': must be one text, or as many as text_2, 1"),
        (["a", "b"], ["c"] * 3, "as many as text_2, 3"),
        ([], "a", "text_1: .* must be a text or a list of texts"),
        ("a", [], "text_2: .* must be a text or a list of texts"),
        ("a", 3, "text_2: 3: must be a text or a list of texts"),
        ("", "a", "text_1: '': is empty"),
        ("a", ["b", ""], r"text_2\[1\]: '': is empty"),
        ("a", ["b", None], r"text_2\[1\]: None: must be text"),
        ("a\ud800", "b", "lone surrogate"),
    ],
)
def test_impossible_texts_are_refused(model, first, second, message):
    with pytest.raises(RequestError, match=message):
        Scorer(model).scoring(first, second)


def test_a_pair_longer_than_the_context_is_refused():
    with LLM.from_model(ranking()) as llm, pytest.raises(ContextLengthError):
        llm.score("a" * 200, "b" * 200)
