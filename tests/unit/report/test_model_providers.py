"""Providers of models by their names."""

from pipeline.report.model_providers import find_providers


def _groups(*models: str) -> list[int] | None:
    found = find_providers(models)
    return None if found is None else found[1].tolist()


def test_names_of_families_and_stated_providers_give_one_provider() -> None:
    openai, also, claude = _groups("gpt-4o-2024-08-06", "openai/o1", "claude-3-opus") or []
    assert openai == also != claude >= 0


def test_a_stated_provider_counts_more_than_a_family_in_the_name() -> None:
    codes = _groups("upstage/llama-2-70b-instruct", "llama-3-8b", "Meta/llama-3-70b") or []
    assert codes[0] != codes[1] == codes[2]


def test_a_name_with_two_families_or_none_has_no_provider() -> None:
    codes = _groups("gpt-4", "chatgpt-4o", "vicuna-llama-13b", "spider") or []
    assert codes[0] == codes[1] >= 0
    assert codes[2:] == [-1, -1]


def test_without_two_models_of_a_provider_there_is_nothing_to_compare() -> None:
    assert _groups("gpt-4", "claude-3", "spider") is None
