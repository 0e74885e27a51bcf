"""Template bombs and escapes: each ends in a TemplateError, within a second and 64 MiB."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllm.errors import TemplateError
from pyllm.tokenizer import ChatTemplate
from tests.support.child_process import environment

ROOT = Path(__file__).resolve().parents[3]

# E-01: code that reaches for Python's objects.
ESCAPES = """
{{ ''.__class__ }}
{{ ''.__class__.__mro__[1].__subclasses__() }}
{{ ''['__class__'] }}
{{ '' | attr('__class__') }}
{{ (1).__class__ }}
{{ [].__class__.__base__ }}
{{ messages.__class__ }}
{{ messages | map(attribute='__class__') | list }}
{{ messages | groupby('__class__') }}
{{ lipsum.__globals__['os'] }}
{{ cycler.__init__.__globals__.os }}
{{ joiner.__init__.__globals__ }}
{{ namespace.__init__.__globals__ }}
{{ raise_exception.__globals__ }}
{{ strftime_now.__func__ }}
{{ self.__init__.__globals__ }}
{{ self._TemplateReference__context }}
{{ dict.__subclasses__() }}
{{ dict.mro() }}
{{ range.__class__ }}
{{ x.__init__.__globals__ }}
{{ '{0.__class__}'.format(1) }}
{{ '{a.__class__.__init__}'.format(a=messages) }}
{{ '{a.__class__}'.format_map({'a': 1}) }}
{{ '%(a)s' | format(a=''.__class__) }}
{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}
{% macro m() %}{% endmacro %}{{ m._environment }}
{% for a in [1] %}{{ loop.__class__ }}{% endfor %}
{% for a in [1] %}{{ loop._iterator }}{% endfor %}
{% set ns = namespace() %}{% set ns.__class__ = 1 %}{{ ns.__class__ }}
{{ ''.encode() }}
{{ (1).to_bytes(9) }}
{{ 'x'.maketrans('a', 'b') }}
{{ messages.append(1) }}
{{ messages[0].update(role='system') }}
{{ messages[0].pop('role') }}
{{ messages.sort() }}
""".strip().splitlines()

NESTED = 100_000
BOMBS = {
    # E-02: other files
    "include": "{% include 'x' %}",
    "import": "{% import 'x' as y %}",
    "from": "{% from 'x' import y %}",
    "extends": "{% extends 'x' %}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
    "autoescape": "{% autoescape true %}x{% endautoescape %}",
    # E-03: loops
    "loops": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for a in range(100000) %}{% for b in range(100000) if b < 0 %}"
    "{% endfor %}{% endfor %}",
    "a long range": "{% for a in range(10**10) %}{% endfor %}",
    "chained generators": "{{ (range(100000) | map('string') | map('upper')) | list | length }}"
    * 50,
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "wide recursive loop": "{% for x in range(9) recursive %}{{ loop(range(99999)) }}{% endfor %}",
    # E-04: macros
    "recursive macro": "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "doubling macro": "{% macro a(n) %}{% if n %}{{ a(n - 1) }}{{ a(n - 1) }}{% endif %}"
    "{% endmacro %}{{ a(40) }}",
    "doubling callers": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call m() %}" * 40
    + "x" * 1000
    + "{% endcall %}" * 40,
    # E-05: nesting
    "parentheses": "{{ " + "(" * NESTED + "1" + ")" * NESTED + " }}",
    "lists": "{{ " + "[" * NESTED + "]" * NESTED + " }}",
    "ifs": "{% if 1 %}" * NESTED + "{% endif %}" * NESTED,
    "fors": "{% for a in [1] %}" * 25 + "{% endfor %}" * 25,
    "nots": "{{ " + "not " * NESTED + "1 }}",
    "signs": "{{ " + "-" * NESTED + "1 }}",
    "attributes": "{{ a" + ".b" * NESTED + " }}",
    "sums": "{{ " + "1+" * 5000 + "1 }}",
    "filters": "{{ a" + "|trim" * 5000 + " }}",
    "calls": "{{ a" + "()" * 3000 + " }}",
    "conditions": "{{ " + "1 if a else " * 3000 + "1 }}",
    "comments": "{#" * NESTED,
    "many expressions": "{{1}}" * NESTED,
    # E-06: one operation that makes much
    "product": "{{ 'x' * 10**10 }}",
    "product of 100 MB": "{{ 'x' * 100000000 }}",
    "product, number first": "{{ 10**9 * 'x' }}",
    "list product": "{{ [1] * 10**9 }}",
    "power": "{{ 10 ** (10 ** 10) }}",
    "power of a power": "{{ (10 ** 1000) ** (10 ** 6) }}",
    "center": "{{ 'x' | center(10**9) }}",
    "center method": "{{ 'x'.center(10**9) }}",
    "ljust": "{{ 'x'.ljust(10**9) }}",
    "zfill": "{{ 'x'.zfill(10**9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "indent": "{{ 'a\nb' | indent(10**9) }}",
    "indent by text": "{{ ('a\n' * 100000) | indent('x' * 9000) }}",
    "tojson indent": "{{ [1] | tojson(indent=10**9) }}",
    "tojson separators": "{{ [1, 2] | tojson(separators=('x' * 10**6, 'y')) }}",
    "format filter": "{{ '%01000000000d' | format(1) }}",
    "percent": "{{ '%1000000000s' % 'a' }}",
    "percent star": "{{ '%*d' % (10**9, 1) }}",
    "percent precision": "{{ '%.1000000000f' % 1.0 }}",
    "format method": "{{ '{:1000000000}'.format(1) }}",
    "format of a format": "{{ '{:{}}'.format(1, 10**9) }}",
    "format repeats": "{{ ('{0}' * 9999).format('x' * 999999) }}",
    "replace": "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "replace nothing": "{{ ('a' * 1000000) | replace('', 'b' * 1000000) }}",
    "join": "{{ (range(100000) | list) | join('x' * 1000000) }}",
    "join a generator": "{{ range(100000) | map('string') | join('x' * 1000000) }}",
    "join method": "{{ ('x' * 1000000).join(range(100000) | map('string')) }}",
    "join a range": "{{ range(100000) | join('x' * 100000) }}",
    "join a shorter range": "{{ range(10000) | join('x' * 20000) }}",
    "join method of an iterator": "{{ ('x' * 20000).join(range(10000) | map('string')) }}",
    "join by wide characters": "{{ (['a'] * 900) | join('\U0001f600' * 30000) | length }}",
    "join by markup": "{{ range(10000) | join(('x' * 20000) | e) }}",
    "split": "{{ ('a ' * 4000000).split(' ') | length }}",
    "lines": "{{ ('\n' * 8000000).splitlines() | length }}",
    "characters": "{{ ('a' * 8000000) | list | length }}",
    "title": "{{ ('a ' * 4000000) | title | length }}",
    "sum of lists": "{{ ([[1]] * 100000) | sum(start=[]) }}",
    "batch": "{{ [1] | batch(10**9, 0) | list }}",
    "slice": "{{ [1] | slice(10**9) | list }}",
    "round": "{{ 1.5 | round(10**9, 'ceil') }}",
    "backward search": "{{ ('a' * 8000000).rfind('b' + 'a' * 4000000) }}",
    "strip set": "{{ ('a' * 8000000).strip('b' * 4000000 + 'a') }}",
    "sort of long texts": "{{ (['a' * 8000000 + 'b', 'a' * 8000000 + 'c'] * 50000) | sort }}",
    "sort of one text": "{{ range(1, 99999) | map('replace', '', 'x') | sort | length }}" * 20,
    # E-07: much output, step by step
    "output": "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
    "literal output": "{% for i in range(100000) %}" + "x" * 1000 + "{% endfor %}",
    "block assignment": "{% set y %}{% for i in range(99999) %}"
    + "x" * 999
    + "{% endfor %}{% endset %}",
    "macro output": "{% macro a() %}" + "x" * 100000 + "{% endmacro %}"
    "{% for i in range(10000) %}{% set _ = a() %}{% endfor %}",
    "doubling with ~": "{% set ns = namespace(x='aaaa') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "doubling with +": "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "shared lists": "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "shared dictionaries": "{% set ns = namespace(x={}) %}{% for i in range(60) %}"
    "{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x | tojson }}",
    "kept slices": "{% set x = 'a' * 8000000 %}"
    + "".join(f"{{% set x{i} = x[1:] %}}" for i in range(1000)),
    "kept copies": "{% set x = 'a' * 8000000 %}"
    + "".join(f"{{% set x{i} = x.upper() %}}" for i in range(800)),
    "many comparisons": "{% set x = 'a' * 8000000 %}{% set y = 'a' * 7999999 + 'a' %}"
    + "{% if x == y %}{% endif %}" * 1500,
    "many searches": "{% set x = 'a' * 8000000 %}" + "{% if 'ab' in x %}{% endif %}" * 1500,
    "kept splits": "{% set x = 'a' * 4000000 ~ ' ' %}"
    + "".join(f"{{% set x{i} = x.split(' ') %}}" for i in range(500)),
    "kept words": "{% set x = 'a ' * 50000 %}"
    + "".join(f"{{% set x{i} = x.split() %}}" for i in range(500)),
    "kept items": "{% set d = dict.fromkeys(range(50000), 1) %}"
    + "".join(f"{{% set x{i} = d.items() | list %}}" for i in range(500)),
    "kept batches": "{% set d = range(50000) | list %}"
    + "".join(f"{{% set x{i} = d | batch(1) | list %}}" for i in range(500)),
    "kept generators": "{% set d = range(50000) | list %}"
    + "".join(f"{{% set x{i} = d | map('string') | map('list') | list %}}" for i in range(500)),
    "kept integers": "{% set x = ('f' * 8000000) | int(0, 16) %}"
    + "".join(f"{{% set x{i} = x + 1 %}}" for i in range(500)),
    "case of long texts": "{{ ('\u0390' * 8000000).upper() | length }}" * 9,
    "case filter": "{{ ('\u0390' * 8000000) | lower | length }}" * 9,
    "join of characters": "{{ ('a' * 8000000) | join }}",
    "join method of characters": "{{ ''.join('a' * 8000000) }}",
    "urlencode": "{{ ('é' * 4000000) | urlencode }}",
    "largest character": "{{ ('a' * 8000000) | max }}",
    "literal pieces": "{% set y %}{% for i in range(100000) %}"
    + "{% if 1 %}x{% endif %}" * 1000
    + "{% endfor %}{% endset %}",
    # E-08: hostile arguments
    "strftime width": "{{ strftime_now('%01000000000d') }}",
    "strftime length": "{{ strftime_now('x' * 1000000) }}",
    "strftime number": "{{ strftime_now(1) }}",
    "strftime surrogate": "{{ strftime_now('\ud800') }}",
    "strftime NUL": "{{ strftime_now('%Y' ~ '\\0') }}",
    "raise a long text": "{{ raise_exception('x' * 10000000) }}",
    "raise a list": "{{ raise_exception(messages) }}",
    "raise nothing": "{{ raise_exception() }}",
    "raise an escape sequence": "{{ raise_exception('\x1b[2J') }}",
    "lipsum": "{{ lipsum(n=10**9) }}",
    "pprint": "{{ messages | pprint }}",
    "urlize": "{{ 'a' | urlize }}",
}


def attempt(source: str) -> str:
    with pytest.raises(TemplateError) as caught:
        ChatTemplate(source, "<s>", "</s>").render([{"role": "user", "content": "Hi"}])
    return str(caught.value)


@pytest.mark.parametrize("source", ESCAPES)
def test_e01_python_is_out_of_reach(source: str) -> None:
    message = attempt(source)
    assert "0x" not in message
    assert "<class" not in message


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_ends_in_one_line_within_a_second(name: str) -> None:
    start = time.thread_time()
    message = attempt(BOMBS[name])
    assert time.thread_time() - start < 1
    assert len(message) < 1200
    assert message.isprintable()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_takes_at_most_64_mib(name: str) -> None:
    tracemalloc.start()
    try:
        attempt(BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_one_bomb_after_the_other_leaves_nothing_behind() -> None:
    """Each may take 32 MiB; all of them, some hundred, take little more than the largest."""
    script = (
        "import resource\n"
        "from tests.pyllm.tokenizer.test_template_sandbox import BOMBS, attempt\n"
        "attempt('{{ 1 // 0 }}')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for source in BOMBS.values():\n"
        "    attempt(source)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 128 << 10  # KiB


FRAGMENTS = [
    *("{{ ", " }}", "{% set x = ", " %}", "{% for i in ", "{% endfor %}", "{% if ", "{% endif %}"),
    *("{% macro m(a) %}", "{% endmacro %}", "{% set x %}", "{% endset %}", "{% call m(1) %}"),
    *(
        "{% endcall %}",
        "{%- ",
        " -%}",
        "{# ",
        " #}",
        "x",
        "i",
        "m(x)",
        "messages",
        "loop",
        "caller()",
    ),
    *(
        "namespace(a=x)",
        "x.a",
        "range(9999)",
        "'ab'",
        "99999",
        "[x, x]",
        "{'a': x}",
        "(",
        ")",
        "[",
        "]",
    ),
    *(
        " * ",
        " + ",
        " ~ ",
        " % ",
        " ** ",
        " == ",
        " in ",
        " if ",
        " else ",
        ", ",
        " | list",
        " | join(x)",
    ),
    *(
        " | tojson",
        " | map('upper')",
        ".split('a')",
        ".replace('a', x)",
        "[1:]",
        ".__class__",
        "\n",
    ),
]


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join) | st.text(max_size=40))
def test_any_source_renders_or_is_a_template_error(source: str) -> None:
    start = time.thread_time()
    with contextlib.suppress(TemplateError):
        ChatTemplate(source, "<s>", None).render([{"role": "user", "content": "Hi"}])
    assert time.thread_time() - start < 1


def test_threads_share_a_template() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content * 3 }}{% endfor %}", None, None)
    conversations = [[{"role": "user", "content": str(i)}] * 50 for i in range(100)]
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(template.render, conversations))
    assert texts == [str(i) * 150 for i in range(100)]


def test_there_is_one_door_to_jinja() -> None:
    """Every template goes through the sandbox: no other file may make an environment."""
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "pyllm").rglob("*.py")
        if "jinja2" in path.read_text(encoding="utf-8")
    }
    assert users == {
        "pyllm/tokenizer/chat_template.py",
        "pyllm/tokenizer/template_compiler.py",
        "pyllm/tokenizer/template_sandbox.py",
    }
    for name in users:
        source = (ROOT / name).read_text(encoding="utf-8")
        assert "Environment(" not in source.replace(
            "class TemplateSandbox(ImmutableSandboxedEnvironment):", ""
        )
        assert ".from_string(" not in source
