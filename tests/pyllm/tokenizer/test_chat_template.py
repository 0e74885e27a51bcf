from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from pyllm.errors import TemplateError
from pyllm.tokenizer import ChatTemplate

HI: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "2"},
]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def render(source: str, messages: list[dict[str, Any]] = HI, **kwargs: Any) -> str:
    clock = lambda: datetime(2026, 2, 3, 4, 5, 6)  # noqa: E731
    return ChatTemplate(source, "<s>", "</s>", clock=clock).render(messages, **kwargs)


def test_a_conversation_is_rendered() -> None:
    text = (
        "<|im_start|>system\nBe terse.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n"
        "<|im_start|>assistant\n2<|im_end|>\n"
    )
    assert render(CHATML, TALK, add_generation_prompt=False) == text
    assert render(CHATML, TALK) == text + "<|im_start|>assistant\n"


# What templates in use rely on; expected values are those of Jinja2 as Hugging Face sets it up.
VECTORS = {
    "{{ bos_token }}{{ messages[0]['content'] | trim }}{{ eos_token }}": "<s>Hi</s>",
    "{%- for x in [1, 2, 3] -%}\n {{ x }}{% if not loop.last %}, {% endif %}"
    "{%- endfor %}": "1, 2, 3",
    "{% for x in range(9) %}{% if x == 2 %}{% continue %}{% endif %}"
    "{% if x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}": "013",
    "{% set ns = namespace(n=0) %}{% for x in [1, 2] %}{% set ns.n = ns.n + x %}{% endfor %}"
    "{{ ns.n }}": "3",
    "a\n    {% if true %}\nb\n    {% endif %}\nc\n": "a\nb\nc",
    "{{ {'b': 1, 'a': [none, true, 'é\"<']} | tojson }}": '{"b": 1, "a": [null, true, "é\\"<"]}',
    "{{ [1] | tojson(indent=2) }}": "[\n  1\n]",
    "{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}": '{"a":2,"b":1}',
    "{{ 'é' | tojson(ensure_ascii=true) }}": '"\\u00e9"',
    "{% macro m(a, b='x') %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}"
    "{{ m(1) }}{% call m(2, b='y') %}z{% endcall %}": "1x2yz",
    "{% set x %}a{{ 1 + 1 }}b{% endset %}{{ x | upper }}": "A2B",
    "{% filter upper %}ab{% endfilter %}": "AB",
    "{% generation %}kept{{ 1 }}{% endgeneration %}": "kept1",
    "{{ strftime_now('%d %b %Y') }}": "03 Feb 2026",
    "{{ undefined_name }}{{ tools is none }}{{ x is defined }}": "TrueFalse",
    "{% for t in tools %}{{ t }}{% endfor %}none": "none",
    "{{ 'a' ~ 1 ~ none ~ [1, 'b'] }}": "a1None[1, 'b']",
    "{{ 'a,b,c'.split(',')[1:] | join('-') }}{{ 'abc'[::-1] }}": "b-ccba",
    "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') "
    "| list }}": "['Hi']",
    "{{ messages | map(attribute='role') | join(',') }}": "user",
    "{{ {'a': 1}.items() | list }}{{ {'a': 1} | items | list }}": "[('a', 1)][('a', 1)]",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}": "a1b2",
    "{{ '%s-%03d' % ('a', 7) }}{{ '%s' | format('b') }}{{ '{}{x}'.format(1, x=2) }}": "a-007b12",
    "{{ 'x' * 3 }}{{ 2 ** 10 }}{{ 7 // 2 }}{{ 7 % 4 }}{{ [1] + [2] }}": "xxx102433[1, 2]",
    "{{ 'ab' | indent(2, true) }}{{ 'a' | center(5) }}|": "  ab  a  |",
    "{{ 'aXb'.replace('X', '--') }}{{ 'aXb' | replace('X', '') }}": "a--bab",
    "{{ 'user' in ['user', 'tool'] and 'content' in messages[0] }}": "True",
    "{{ [3, 1, 2] | sort | first }}{{ [1, 1, 2] | unique | list }}{{ [1, 2] | sum }}": "1[1, 2]3",
    "{{ 'abc' | length }}{{ 'a b' | title }}{{ 1.25 | round(1) }}{{ '5' | int + 1 }}": "3A B1.26",
    "{% for r in [[1, [2]]] recursive %}{{ r if r is number else loop(r) }}{% endfor %}": "12",
    "{{ 'x' if messages[-1].role == 'user' else 'y' }}": "x",
    "{{ messages[0].get('tool_calls', []) }}": "[]",
    "{# a comment #}{% raw %}{{ raw }}{% endraw %}": "{{ raw }}",
    "{{ '<b>' | e }}{{ '<b>' | safe }}{{ '<b>' }}": "&lt;b&gt;<b><b>",
    "{{ namespace(a=1) }}": "<Namespace>",
}


@pytest.mark.parametrize("source", list(VECTORS))
def test_templates_mean_what_they_mean_to_hugging_face(source: str) -> None:
    assert render(source) == VECTORS[source]


def test_a_template_can_refuse_a_conversation() -> None:
    with pytest.raises(TemplateError, match="refuses this conversation: roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}")


@pytest.mark.parametrize(
    "source", ["{% for %}", "{{", "{% endif %}", "{{ 1 | no_such_filter }}", "{% nosuchtag %}"]
)
def test_wrong_syntax_says_where(source: str) -> None:
    with pytest.raises(TemplateError, match=r"cannot be compiled \(line 2\)"):
        ChatTemplate("\n" + source, None, None)


@pytest.mark.parametrize(
    "source", ["{{ a.b.c }}", "{{ 1 // 0 }}", "{{ [] | first + 1 }}", "{{ messages[7].role }}"]
)
def test_what_fails_while_rendering_is_a_template_error(source: str) -> None:
    with pytest.raises(TemplateError, match="the chat template failed"):
        render(source)


@pytest.mark.parametrize("source", [7, None, b"x", ["x"]])
def test_a_template_is_text(source: object) -> None:
    with pytest.raises(TemplateError, match="not text"):
        ChatTemplate(source, None, None)  # type: ignore[arg-type]


def test_c14_a_template_has_no_nul_and_at_most_a_mebibyte() -> None:
    with pytest.raises(TemplateError, match="NUL"):
        ChatTemplate("a\0", None, None)
    with pytest.raises(TemplateError, match="longer than 1048576 characters"):
        ChatTemplate("x" * ((1 << 20) + 1), None, None)
    assert render("x" * (1 << 20)) == "x" * (1 << 20)


@pytest.mark.parametrize(
    "name",
    [
        *("messages", "tokenize", "bos_token", "raise_exception", "namespace", "self"),
        *("__class__", "_private", "not a name", ""),
    ],
)
def test_e09_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(TemplateError, match="reserved"):
        ChatTemplate("{{ 1 }}", None, None).render(HI, **{name: 1})


def test_further_variables_reach_the_template() -> None:
    source = "{{ enable_thinking }}{{ documents[0].title }}"
    assert render(source, enable_thinking=False, documents=({"title": "T"},)) == "FalseT"


def test_a_missing_bos_token_is_undefined() -> None:
    assert ChatTemplate("{{ bos_token is defined }}", None, None).render(HI) == "False"


class Mine:
    secret = "s"


@pytest.mark.parametrize("value", [Mine(), {"a": Mine()}, [b"x"], {1, 2}, {(1, 2): 3}, print])
def test_only_values_that_json_can_hold_are_taken(value: object) -> None:
    with pytest.raises(TemplateError, match=r"^(value|a key of value)") as caught:
        render("{{ value.secret }}", value=value)
    assert "0x" not in str(caught.value)


def test_deeply_nested_values_are_refused() -> None:
    value: list[Any] = []
    for _ in range(10_000):
        value = [value]
    with pytest.raises(TemplateError, match="nested more than 100 deep"):
        render("{{ value }}", value=value)


def test_a_template_cannot_change_the_messages() -> None:
    messages = [{"role": "user", "content": ["a"]}]
    with pytest.raises(TemplateError):
        render("{% set _ = messages[0].content.append('b') %}", messages)
    assert messages == [{"role": "user", "content": ["a"]}]


def test_renderings_do_not_influence_each_other() -> None:
    template = ChatTemplate("{{ messages[0].content }}{{ x }}", None, None)
    assert template.render(HI, x=1) == "Hi1"
    assert template.render(HI) == "Hi"


def test_a_long_conversation_fits_the_budget() -> None:
    messages = [{"role": "user", "content": "word " * 400} for _ in range(500)]  # 1 MB
    text = render(CHATML, messages)
    assert len(text) > 1_000_000
    gathered = "{% set ns = namespace(t='') %}{% for m in messages %}"
    gathered += "{% set ns.t = ns.t ~ m.content %}{% endfor %}{{ ns.t | length }}"
    assert render(gathered, messages) == "1000000"


def test_one_long_message_fits_the_budget() -> None:
    messages = [{"role": "user", "content": "word " * 1_600_000}]  # 8 MB
    assert len(render(CHATML.replace("m.content", "m.content | trim"), messages)) > 7_999_000
