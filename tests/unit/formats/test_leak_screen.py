"""The screen passes over no answer in which a name is found, and spares the close reading of nearly all others."""

from time import process_time

import numpy as np
import pytest

from pipeline.formats.identity_leaks import IdentityLeaks, LeakCheck
from pipeline.formats.identity_table import load_identities
from pipeline.formats.leak_screen import may_have_name
from pipeline.formats.plain_words import plain_words
from pipeline.formats.record_text import BattleText

NAMES = {plain_words(name).strip() for name in ("gpt 4", "OpenAI", "open ai", "cohere for ai", "Groß", "tülu", "通义")}
MODELS = ("gpt-4-0314", "通义-72b", "Tülu-2", "kelvin-k", "größe-7b", "vicuna-13b")
WORDS = """
gpt GPT ＧＰＴ gpT-4 4 ⁴ 0314 - — _ . 。 … open ai AI Open OpenAI openai co cohere for 我是 通 义 千问 通义千问
tülu tu\u0308lu TÜLU \u212aelvin kelvin k ﬁne GRÖSSE größe 7b vicuna 13b gemini a model \u0301 é が ｶﾞ ² ſ
"""
PIECES = [*WORDS.split(), "I am", "i’m", "as an", "developed by", "made by", " ", " ", " ", "\n", "\ud800", ""]
FILLER = "the model, and- of我 是 通 义 深 度の を は 가 é ü — … gpt open"


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "I am GPT-4.",
            "ＧＰＴ－４",
            "gpt…4",
            "it is OpenAI’s",
            "（Open — AI）",
            "Cohere\nFor **AI**",
            "我是通义千问。",
        ),
        *("通义 千问", "TÜLU", "tu\u0308lu", "GROSS", "é openai é", "は openai は", "\ud800 openai"),
    ],
)
def test_an_answer_with_a_name_is_read(answer: str) -> None:
    assert may_have_name([answer], NAMES).tolist() == [True]


@pytest.mark.parametrize(
    "answer", ["", "gpt", "gpt 40", "openais", "open a i", "cohere for a", "通", "great", "“naïve” — 4"]
)
def test_an_answer_without_a_name_is_passed_over(answer: str) -> None:
    assert may_have_name([answer], NAMES).tolist() == [False]


def test_more_names_than_an_expression_can_have_spare_nothing() -> None:
    assert may_have_name(["x", "y"], {f"model {n}" for n in range(4_000)}).all()
    assert not may_have_name(["x", "y"], set()).any()


def test_many_battles_at_once_have_what_each_has_alone() -> None:
    """Names, parts of names and what looks like them, in every order."""
    draw = np.random.default_rng(5)

    def side() -> tuple[str, ...]:
        return tuple("".join(draw.choice(PIECES, draw.integers(12))) for _ in range(draw.integers(3)))

    battles = [BattleText("", (side(), side())) for _ in range(3_000)]
    fields = [dict(zip(("model_a", "model_b"), draw.permutation(MODELS).tolist(), strict=False)) for _ in battles]
    leaks = IdentityLeaks(load_identities([("vicuna-13b", ("Acme Größe", "千问"))]))
    one, many = LeakCheck(leaks), LeakCheck(leaks)
    found = [one.of(battle, of_vote) for battle, of_vote in zip(battles, fields, strict=True)]
    assert many.of_all(battles, fields) == found
    assert (many.battles, many.leaks) == (one.battles, one.leaks)
    assert 100 < one.leaks < one.battles - 100
    assert many.of_all([], []) == []


@pytest.mark.parametrize("form", ["vendor{} family {} chat", "model {}", "模型 {} é"])
def test_names_of_many_models_take_no_longer(form: str) -> None:
    """With wildcards between words, an expression of fifty names takes seconds for these answers."""
    draw = np.random.default_rng(1)
    words = [*(f"w{n} " for n in range(500)), *FILLER.split()]
    answers = ["".join(draw.choice(words, 300)) for _ in range(200)]
    names = {form.format(n, n) for n in range(2_000)}
    began = process_time()
    may_have_name(answers, names)
    assert process_time() - began < 1
