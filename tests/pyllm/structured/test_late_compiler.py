"""One compiler, made when a grammar comes."""

from pyllm.structured.compiler import GrammarCompiler
from pyllm.structured.late_compiler import late_compiler
from tests.pyllm.fake_program import FakeTokenizer


def test_it_is_made_once():
    compiler = late_compiler(FakeTokenizer())
    assert isinstance(compiler(), GrammarCompiler)
    assert compiler() is compiler()


def test_each_tokenizer_has_its_own():
    assert late_compiler(FakeTokenizer())() is not late_compiler(FakeTokenizer())()
