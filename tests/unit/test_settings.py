"""Settings: where values come from, what is refused and how, and what changes the digest."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Usage
from pipeline.settings import PREFIX, SECRETS, SHAPING, Settings, load, override, shown, sources, unknown

KEY = "0f" * 32
OTHER: dict[type, Any] = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v / 2}
NAMES = list(Settings.model_fields)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, which is returned, and an environment without our variables."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def other(name: str, folder: Path) -> Any:
    """A value of the setting that is not its default."""
    default = getattr(Settings(), name)
    words = {"kafka_security_protocol": "SSL", "kafka_sasl_mechanism": "PLAIN", "postgres_sslmode": "require"}
    words |= {"log_ids": "conversation", "backfill": "strict"}
    texts = (
        {
            "anchor": "ant=1000",
            "compute": "processes://2",
            "trusted_proxies": "10.0.0.2",
            "external_url": "https://board.example",
        }
        | dict.fromkeys(SECRETS, KEY)
        | {"secrets_dir": str(folder)}
        | words
    )
    return texts.get(name, "x") if isinstance(default, str) else OTHER[type(default)](default)


def test_without_a_source_every_setting_has_its_default() -> None:
    assert load() == Settings()
    assert set(sources().values()) == {"default"}


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_read_from_its_own_variable(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    value = other(name, tmp_path)
    monkeypatch.setenv(PREFIX + name.upper(), str(value))
    monkeypatch.setenv("PARTITIONS", "bad")  # not ours
    assert load() == Settings(**{name: value})
    assert type(getattr(load(), name)) is type(getattr(Settings(), name))
    assert sources() == dict.fromkeys(NAMES, "default") | {name: "environment"}


def test_the_environment_goes_before_the_env_file_and_that_before_the_secrets_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, value in (("integrity_voter_key", f"{KEY}\n"), ("INTEGRITY_BOARD", "file"), ("INTEGRITY_GROUP", "file")):
        (secrets / name).write_text(value)
    (tmp_path / ".env").write_text(
        f"# ours\nINTEGRITY_SECRETS_DIR={secrets}\nINTEGRITY_BOARD='dotenv'\nINTEGRITY_PARTITIONS=8\nOTHER=1\n"
    )
    monkeypatch.setenv("INTEGRITY_PARTITIONS", "9")
    wanted = {"partitions": 9, "board": "dotenv", "secrets_dir": str(secrets), "voter_key": KEY, "group": "file"}
    assert load() == Settings(**wanted)
    assert {name: source for name, source in sources().items() if source != "default"} == {
        "partitions": "environment",
        "board": ".env",
        "secrets_dir": ".env",
        "voter_key": "secrets directory",
        "group": "secrets directory",
    }


def test_a_secrets_directory_that_is_missing_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTEGRITY_SECRETS_DIR", str(tmp_path / "none"))
    with pytest.raises(Usage, match=r"INTEGRITY_SECRETS_DIR: expected a directory, got '.*/none'"):
        load()


def test_a_secret_that_would_not_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    monkeypatch.setenv("INTEGRITY_SECRETS_DIR", str(secrets))
    (tmp_path / "outside").write_text(KEY)
    (secrets / "integrity_voter_key").symlink_to(tmp_path / "outside")
    with pytest.raises(Usage, match=r"files inside .*, got integrity_voter_key -> .*/outside"):
        load()


def test_links_within_the_secrets_directory_are_read_as_kubernetes_mounts_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "integrity_voter_key").write_text(KEY)
    (tmp_path / "integrity_voter_key").symlink_to(tmp_path / "..data" / "integrity_voter_key")
    monkeypatch.setenv("INTEGRITY_SECRETS_DIR", str(tmp_path))
    assert load().key == bytes.fromhex(KEY)


def test_unknown_variables_are_named_with_their_source_and_the_setting_that_may_be_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "integrity_voterkey").write_text(KEY)
    (tmp_path / ".env").write_text("INTEGRITY_LATENESS=5\nBOARD=x\n")
    monkeypatch.setenv("INTEGRITY_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("INTEGRITY_KAFKA_LIBS", "/kafka")  # read by pipeline.local alone
    monkeypatch.setenv("INTEGRITY_ZZZ", "1")
    assert unknown() == {
        "INTEGRITY_LATENESS": ".env; is INTEGRITY_LATENESS_MINUTES meant?",
        "INTEGRITY_VOTERKEY": f"{tmp_path}; is INTEGRITY_VOTER_KEY meant?",
        "INTEGRITY_ZZZ": "environment",
    }


def test_settings_are_overridden_within_a_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_PARTITIONS", "9")
    outer, inner = Settings(partitions=7), Settings(partitions=8)
    with override(outer):
        with pytest.raises(ZeroDivisionError), override(inner):
            assert load() is inner
            raise ZeroDivisionError
        assert load() is outer
        assert sources()["partitions"] == "override"
    assert load() == Settings(partitions=9)


def test_settings_made_by_hand_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A published snapshot is verified with the settings that it names and no others."""
    monkeypatch.setenv("INTEGRITY_LEAST_SHARE", "0.5")
    assert Settings(anchor="").least_share == 0.95


@pytest.mark.parametrize(("text", "value"), [(yes, True) for yes in ("1", "true", "True", "YES")] + [
    (no, False) for no in ("0", "false", "FALSE", "no")
])  # fmt: skip
def test_true_and_false_are_written_in_several_ways(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRITY_AUTO_VOTER", text)
    assert load().auto_voter is value


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PARTITIONS", "four", "an integer from 1 to 10,000"),
        ("PARTITIONS", "4.5", "an integer from 1 to 10,000"),
        ("PARTITIONS", "", "an integer from 1 to 10,000"),
        ("PARTITIONS", "0", "an integer from 1 to 10,000"),
        ("BATCH_VOTES", "5e3", "an integer from 1 to 1,000,000"),
        ("LATENESS_MINUTES", "1h", "a number from 0 to 525,600"),
        ("LEAST_SHARE", "95%", "a number from 0 to 1"),
        ("LEAST_SHARE", "1.01", "a number from 0 to 1"),
        ("LEAST_SHARE", "nan", "a number from 0 to 1"),
        ("FALSE_SHARE", "0", "a number from 1e-06 to 0.5"),
        ("AUTO_VOTER", "maybe", "true or false"),
        ("AUTO_VOTER", "", "true or false"),
        ("ANCHOR", "gpt", "MODEL=POINTS"),
        ("ANCHOR", "gpt=", "MODEL=POINTS"),
        ("ANCHOR", "gpt=high", "MODEL=POINTS"),
        ("ANCHOR", "gpt=inf", "MODEL=POINTS"),
        ("ANCHOR", "=5", "MODEL=POINTS"),
    ],
)
def test_a_bad_value_names_its_variable_what_is_expected_and_itself(
    name: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name, text)
    with pytest.raises(Usage) as caught:
        load()
    assert str(caught.value) == f"INTEGRITY_{name}: expected {expected}, got {text!r}"


def test_every_bad_value_is_named_and_so_is_what_is_no_setting() -> None:
    with pytest.raises(Usage, match=r"GROUP: expected text, got 3; .*_PARTITIONS: .*, got 0; .*'of'"):
        Settings(partitions=0, group=3, of=1)  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("text", ["00", "g" * 64, "0" * 63, "0" * 66, "secret"])
def test_a_bad_key_names_its_variable_and_is_not_shown(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), text)
    with pytest.raises(Usage) as caught:
        load()
    assert str(caught.value) == (
        f"{PREFIX}{name.upper()}: expected 64 hexadecimal digits (`openssl rand -hex 32` makes them)"
    )


def test_a_key_is_32_bytes_or_absent() -> None:
    assert (Settings().key, Settings().ledger_seeds) == (None, (None, None))
    assert Settings(voter_key=KEY).key == b"\x0f" * 32
    assert (Settings().archive_seed, Settings(archive_key=KEY).archive_seed) == (None, b"\x0f" * 32)
    assert Settings(ledger_key=KEY, ledger_key_before="AB" * 32).ledger_seeds == (b"\x0f" * 32, b"\xab" * 32)


def test_keys_and_passwords_are_not_shown() -> None:
    store = "postgresql://worker:p@ss:word@db/board"
    made = Settings(store=store, voter_key=KEY, ledger_key=KEY, ledger_key_before=KEY, archive_key=KEY)
    assert [shown(name, getattr(made, name)) for name in SECRETS] == ["(set)"] * 4
    assert [shown(name, "") for name in SECRETS] == [""] * 4
    assert shown("store", store) == "postgresql://worker:***@db/board"
    assert shown("store", "sqlite:///a@b.db") == "sqlite:///a@b.db"
    assert KEY not in repr(made)
    assert "p@ss" not in repr(made)


def test_an_anchor_is_a_model_and_its_points() -> None:
    assert Settings().anchor_points == ("mixtral-8x7b-instruct-v0.1", 1114.0)
    assert Settings(anchor="a=b=-3.5").anchor_points == ("a=b", -3.5)
    assert Settings(anchor="").anchor_points is None


def test_durations_are_exact_in_microseconds() -> None:
    assert Settings().lateness == 3600 * 1_000_000
    assert Settings(lateness_minutes=0.1).lateness == 6_000_000
    assert Settings(idle_seconds=1.5).idle_after == 1_500_000


@pytest.mark.parametrize("name", NAMES)
def test_the_digest_changes_with_the_settings_that_shape_a_result_and_with_no_other(name: str, tmp_path: Path) -> None:
    changed = Settings(**{name: other(name, tmp_path)})
    assert (changed.digest() != Settings().digest()) == (name in SHAPING)


def test_the_digest_of_the_same_values_stays_as_it_was_first_published() -> None:
    """It is in every snapshot; a whole number is the number that JSON made of it."""
    assert Settings().digest() == "29fe5999ec479b971e47b88eea1c27f37bfe280bb71eb2aa21c9c35fb5e484b6"
    read_back = Settings(lateness_minutes=60, anchor="", auto_voter=False, least_share=1, false_alarms=2)
    assert read_back.digest() == "4b44da3b4167471c8bc300f119643deaeb285a081e99b1a7ddcd1f3918541ea1"
    assert set(Settings().shaping()) == set(SHAPING)
    assert not set(SHAPING) & set(SECRETS)
