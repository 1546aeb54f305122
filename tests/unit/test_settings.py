"""Settings: a bad value names its variable, and only what can change a result changes the digest."""

from dataclasses import fields, replace

import pytest

from pipeline.errors import Usage
from pipeline.settings import PREFIX, SHAPING, Settings, load, override

OTHER = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v / 2, str: lambda v: f"{v}x=1"}
NAMES = [f.name for f in fields(Settings)]


def test_without_an_environment_every_setting_has_its_default() -> None:
    assert load({}) == Settings()


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_PARTITIONS", "9")
    assert load().partitions == 9
    assert load({}).partitions == Settings().partitions


def test_settings_are_overridden_within_a_block_only_and_a_given_environment_is_heard() -> None:
    before = load()
    outer, inner = Settings(partitions=7), Settings(partitions=8)
    with override(outer):
        with pytest.raises(ZeroDivisionError), override(inner):
            assert load() is inner
            raise ZeroDivisionError
        assert load() is outer
        assert load({"INTEGRITY_PARTITIONS": "9"}) == Settings(partitions=9)
    assert load() == before


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_read_from_its_own_variable(name: str) -> None:
    default = getattr(Settings(), name)
    other = OTHER[type(default)](default)
    loaded = load({PREFIX + name.upper(): str(other), "INTEGRITY_UNKNOWN": "1", name.upper(): "bad"})
    assert loaded == replace(Settings(), **{name: other})
    assert type(getattr(loaded, name)) is type(default)


@pytest.mark.parametrize("text", ["1", "true", "True", "YES", "yes"])
def test_yes_is_said_in_several_ways(text: str) -> None:
    assert load({"INTEGRITY_AUTO_VOTER": text}).auto_voter is True


@pytest.mark.parametrize("text", ["0", "false", "FALSE", "no"])
def test_no_is_said_in_several_ways(text: str) -> None:
    assert load({"INTEGRITY_AUTO_VOTER": text}).auto_voter is False


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("PARTITIONS", "four", "int"),
        ("PARTITIONS", "4.5", "int"),
        ("PARTITIONS", "", "int"),
        ("BATCH_VOTES", "5e3", "int"),
        ("LATENESS_MINUTES", "1h", "float"),
        ("LEAST_SHARE", "95%", "float"),
        ("AUTO_VOTER", "maybe", "bool"),
        ("AUTO_VOTER", "", "bool"),
    ],
)
def test_a_bad_value_names_its_variable_its_kind_and_itself(name: str, text: str, kind: str) -> None:
    with pytest.raises(Usage, match=rf"INTEGRITY_{name}: expected {kind}, got '{text}'"):
        load({f"INTEGRITY_{name}": text})


@pytest.mark.parametrize("text", ["00", "g" * 64, "0" * 63, "0" * 66, "secret"])
def test_a_bad_voter_key_names_its_variable_and_is_not_shown(text: str) -> None:
    with pytest.raises(Usage, match="INTEGRITY_VOTER_KEY: expected 64 hexadecimal digits") as caught:
        _ = load({"INTEGRITY_VOTER_KEY": text}).key
    assert text not in str(caught.value)


def test_a_voter_key_is_32_bytes_or_absent() -> None:
    assert Settings().key is None
    assert load({"INTEGRITY_VOTER_KEY": "0f" * 32}).key == b"\x0f" * 32


@pytest.mark.parametrize("text", ["gpt", "gpt=", "gpt=high"])
def test_a_bad_anchor_names_its_variable(text: str) -> None:
    with pytest.raises(Usage, match=rf"INTEGRITY_ANCHOR: expected MODEL=POINTS, got '{text}'"):
        _ = load({"INTEGRITY_ANCHOR": text}).anchor_points


def test_an_anchor_is_a_model_and_its_points() -> None:
    assert Settings().anchor_points == ("mixtral-8x7b-instruct-v0.1", 1114.0)
    assert Settings(anchor="a=b=-3.5").anchor_points == ("a=b", -3.5)
    assert Settings(anchor="").anchor_points is None


def test_lateness_is_exact_in_microseconds() -> None:
    assert Settings().lateness == 3600 * 1_000_000
    assert Settings(lateness_minutes=0.1).lateness == 6_000_000


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_changes_with_the_settings_that_shape_a_result_and_with_no_other(name: str) -> None:
    default = getattr(Settings(), name)
    changed = replace(Settings(), **{name: OTHER[type(default)](default)})
    assert (changed.digest() != Settings().digest()) == (name in SHAPING)


def test_the_digest_is_64_hexadecimal_digits_and_the_shaping_settings_are_named() -> None:
    assert len(bytes.fromhex(Settings().digest())) == 32
    assert Settings().digest() == Settings().digest()
    assert set(Settings().shaping()) == set(SHAPING) <= set(NAMES)
    shaping = {"lateness_minutes", "anchor", "auto_voter", "least_share", "false_alarms", "false_share"}
    assert shaping == set(SHAPING)


def test_a_key_is_never_in_the_digest_or_among_the_shaping_settings() -> None:
    assert "voter_key" not in Settings(voter_key="ab" * 32).shaping()
