"""An answer that tells its model is found; one that only mentions a name is not."""

from time import process_time

import pytest

from pipeline.errors import BadInput
from pipeline.formats.identity_leaks import IdentityLeaks, _Names
from pipeline.formats.identity_table import load_identities, parse_identities
from pipeline.formats.plain_words import plain_words

LEAKS = IdentityLeaks(load_identities())


def leaks(model: str, answer: str, other: str = "vicuna-13b") -> bool:
    return LEAKS.leaks((model, other), ((answer,), ()))


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        ("gpt-4-0314", "I am GPT-4, a large language model."),
        ("gpt-4-0314", "Here GPT4 speaks."),
        ("gpt-4-0314", "As an AI developed by OpenAI, I cannot do that."),
        ("gpt-3.5-turbo-0613", "Sure! ChatGPT at your service."),
        ("some-model", "I'm ChatGPT."),  # untrue, and it moves a voter all the same
        ("claude-2.1", "I’m Claude, an AI assistant made by Anthropic."),
        ("claude-2.1", "Hello. My name is Claude!"),
        ("gemini-pro", "I am a large language model, trained by Google."),
        ("gemini-pro", "I am a Gemini model."),
        ("palm-2", "I was created by the team at Google."),
        ("mixtral-8x7b-instruct-v0.1", "**I'm Mixtral**"),
        ("mistral-7b-instruct", "Je suis un modèle de langage développé par Mistral AI."),
        ("llama-2-70b-chat", "I am LLaMA, an AI assistant developed by Meta AI"),
        ("qwen-14b-chat", "我是通义千问，由阿里云开发的大型语言模型。"),
        ("qwen1.5-72b-chat", "Ich bin Qwen, ein Sprachmodell von Alibaba Cloud."),
        ("chatglm3-6b", "我是一个名为 ChatGLM3-6B 的人工智能助手"),
        ("vicuna-33b", "I am Vicuna, trained by researchers from LMSYS."),
        ("deepseek-llm-67b-chat", "ＤｅｅｐＳｅｅｋ Ｃｈａｔ"),
        ("command-r-plus", "My name is Command R Plus"),
        ("grok-1", "I'm Grok, built by xAI."),
        ("ant", "You are chatting with ant."),
        ("gpt-4", "OpenAI trained me"),
    ],
)  # fmt: skip
def test_an_answer_that_tells_its_model(model: str, answer: str) -> None:
    assert leaks(model, answer)


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        ("gemini-pro", "The Gemini constellation is best seen in January."),
        ("gemini-pro", "If I am a Gemini, my sign is ruled by Mercury."),
        ("gemini-pro", "I am sure that Google has a page about it."),
        ("claude-2.1", "Claude Monet painted water lilies. The anthropic principle is something else."),
        ("claude-2.1", "I am fond of Claude Monet"),
        ("llama-2-70b-chat", "A llama is a domesticated animal of the Andes. I am told that llamas spit."),
        ("mistral-7b-instruct", "The mistral is a cold wind in the Rhône valley."),
        ("falcon-40b", "The peregrine falcon dives at 300 km/h."),
        ("command-r-plus", "Press Command-R to reload. The command line prints it."),
        ("o1-mini", "Lookup in a hash table is O(1) on average."),
        ("phi-2", "The golden ratio phi is 1.618."),
        ("gpt-4", "The GPT (GUID Partition Table) replaces the MBR."),
        ("vicuna-13b", "TensorFlow was developed by Google. I was reading about it."),
        ("vicuna-13b", "OpenAI, Anthropic and Google DeepMind are laboratories."),
        ("nova-lite", "A nova is a star that flares up."),
        ("yi-34b-chat", "Yi is a people of China. That is who I am. Google it."),
        ("ant", "An ant carries many times its weight."),
        ("gpt-4", "As an engineer at Google you would write tests."),
        ("gpt-4", ""),
    ],
)
def test_an_answer_that_only_mentions_a_name(model: str, answer: str) -> None:
    assert not leaks(model, answer)


def test_both_sides_are_read_each_with_its_own_name() -> None:
    assert LEAKS.leaks(("vicuna-13b", "gpt-4"), ((), ("OpenAI made it.",)))
    assert not LEAKS.leaks(("gpt-4", "vicuna-13b"), ((), ("OpenAI made it.",)))


def test_the_registry_adds_names() -> None:
    secret = [("im-a-good-bot", ["Acme Labs", "Roadrunner"])]
    assert not leaks("im-a-good-bot", "I am Roadrunner, by Acme Labs.")
    known = IdentityLeaks(load_identities(secret))
    assert known.leaks(("im-a-good-bot", "x"), (("I am Roadrunner",), ()))
    assert known.leaks(("im-a-good-bot", "x"), (("Acme Labs welcomes you",), ()))
    assert not known.leaks(("im-a-good-bot", "x"), (("The roadrunner is a fast bird",), ()))


@pytest.mark.parametrize("text", ["[[", "[self]\n", "[[identity]]\nprovider = 3\n[self]\n"])
def test_a_table_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"names\.toml: expected"):
        parse_identities(text, "names.toml")


@pytest.mark.parametrize(
    ("models", "answer"),
    [
        (("nova-1", "x"), "I am Nova 1 Pro."),
        (("gpt-4-turbo", "x"), "as an AI called GPT 4 turbo"),
        (("gemini-1.5-pro", "x"), "I am a Gemini 1.5 Pro"),
        (("open-hermes", "x"), "I am OpenHermes, not OpenAI or GPT4"),
    ],
)
def test_names_of_a_battle_and_known_names_are_found_as_by_one_pattern(models: tuple[str, str], answer: str) -> None:
    words = plain_words(answer)
    names = load_identities().names() | {plain_words(model).strip() for model in models}
    whole = [found[0] for found in _Names.of(names).pattern.finditer(words)]
    assert [found[0] for found in LEAKS._known(models).find(words)] == whole
    assert whole


def test_a_pair_of_models_needs_no_pattern_of_all_names() -> None:
    """A pattern of all names takes 20 ms to compile, and a board has thousands of pairs of models."""
    table = load_identities()
    known = IdentityLeaks(table)
    began = process_time()
    for number in range(300):
        known.leaks((f"first-{number}", f"second-{number}"), (("Hello.",), ("Hello.",)))
    assert process_time() - began < 1.5
