"""Copies and near copies of a prompt have one hash, also in the next run and after a crash; no text is kept."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH

from pipeline.stream.band_index import BandIndex
from pipeline.stream.near_prompts import _SIGNATURES, NearPrompts

KEY = bytes(32)
LONG = "Write a short poem about the sea in autumn, with four lines and a rhyme at the end of each line."
NEAR = LONG.replace("rhyme", "rhymes").upper()
FAR = "Explain the difference between a stack and a queue to a student of the first year, with examples."
CHINESE = "请用四行写一首关于秋天大海的短诗，每行末尾都要押韵，并且解释每一行的意思和它所表达的感情以及背景。"


def test_case_spaces_and_punctuation_make_no_other_prompt() -> None:
    prompts = NearPrompts(KEY)
    assert prompts.hash("What is 2+2?") == prompts.hash("  what IS 2+2 ") == prompts.hash("Ｗｈａｔ is 2+2!")
    assert prompts.hash("What is 2+2?") != prompts.hash("What is 2+3?")
    assert NearPrompts(bytes(range(32))).hash("What is 2+2?") != prompts.hash("What is 2+2?")
    assert len(NearPrompts(b"").hash("What is 2+2?")) == 64


@pytest.mark.parametrize("prompt", [NEAR, f"{LONG} Please!", LONG[:-10]])
def test_a_near_copy_has_the_hash_of_the_first(prompt: str) -> None:
    prompts = NearPrompts(KEY)
    first = prompts.hash(LONG)
    assert prompts.hash(FAR) != first
    assert prompts.hash(prompt) == first
    assert NearPrompts(KEY).hash(prompt) != first  # the first of another run


def test_a_signature_needs_more_of_the_key_than_the_seed() -> None:
    one, other = NearPrompts(KEY), NearPrompts(bytes(range(32)))
    other._permutations = one._permutations
    assert not (one._sign(LONG) == other._sign(LONG)).any()


@pytest.mark.parametrize("text", [LONG, CHINESE, "a" * 40])
def test_a_signature_is_that_of_the_library(text: str) -> None:
    """Signatures of earlier versions are in files, and must stay comparable."""
    prompts = NearPrompts(KEY)
    run = 5 if " " in text else 3
    base = int(prompts._factors[1])
    numbers = [
        (sum(ord(char) * pow(base, n, 1 << 64) for n, char in enumerate(text[at : at + run])) % (1 << 64) >> 16)
        & 0xFFFFFFFF
        for at in range(len(text) - run + 1)
    ]
    seed = int.from_bytes(prompts._digest(_SIGNATURES)[:4], "big")
    expected = MinHash(64, seed, hashfunc=int, scheme="affine32")
    expected.update_batch(numbers)
    assert prompts._sign(text).tolist() == expected.hashvalues.tolist()


def test_a_prompt_shares_a_band_with_the_same_prompts_as_in_the_library() -> None:
    drawn = np.random.default_rng(1).integers(0, 3, (300, 64), dtype=np.uint32)
    index, expected = BandIndex(32, 2), MinHashLSH(num_perm=64, params=(32, 2))
    for n, signature in enumerate(drawn[:200]):
        index.insert(bytes([n]), signature)
        expected.insert(bytes([n]), MinHash(hashvalues=signature, scheme="affine32"))
    for n in range(50):
        index.remove(bytes([n]), drawn[n])
        expected.remove(bytes([n]))
    for signature in drawn[200:]:
        assert set(index.query(signature)) == set(expected.query(MinHash(hashvalues=signature, scheme="affine32")))


@pytest.mark.parametrize("text", ["signatures of prompts", "\0signatures of prompts"])
def test_no_prompt_has_the_secret_of_signatures_as_its_hash(text: str) -> None:
    prompts = NearPrompts(KEY)
    assert prompts.hash(text) != prompts._digest(_SIGNATURES).hex()


def test_near_copies_in_a_language_without_spaces() -> None:
    prompts = NearPrompts(KEY)
    assert prompts.hash(CHINESE) == prompts.hash(CHINESE.replace("短诗", "小诗"))


def test_the_next_run_finds_the_copies_of_this_one(tmp_path: Path) -> None:
    first = NearPrompts(KEY, tmp_path)
    digest = first.hash(LONG)
    first.close()
    (path,) = tmp_path.iterdir()
    assert b"poem" not in path.read_bytes().lower()
    assert path.stat().st_mode & 0o077 == 0
    assert NearPrompts(KEY, tmp_path).hash(NEAR) == digest
    other = NearPrompts(bytes(range(32)), tmp_path)  # another key has a file of its own
    assert other.hash(NEAR) != digest


def test_a_record_that_a_crash_cut_is_forgotten(tmp_path: Path) -> None:
    first = NearPrompts(KEY, tmp_path)
    digest = first.hash(LONG)
    first.hash(FAR)
    first.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    again = NearPrompts(KEY, tmp_path)
    assert again.hash(NEAR) == digest
    again.hash(CHINESE)
    again.close()
    assert NearPrompts(KEY, tmp_path).hash(CHINESE.replace("短诗", "小诗")) == again.hash(CHINESE)


def test_a_second_process_reads_and_does_not_write(tmp_path: Path) -> None:
    first = NearPrompts(KEY, tmp_path)
    digest = first.hash(LONG)
    first.flush()
    second = NearPrompts(KEY, tmp_path)
    assert second.shared
    assert second.hash(NEAR) == digest
    second.hash(FAR)
    second.close()
    first.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 288


def test_memory_and_file_are_bounded(tmp_path: Path) -> None:
    prompts = NearPrompts(KEY, tmp_path, limit=10)
    made = [" ".join(sha256(f"{number} {word}".encode()).hexdigest()[:6] for word in range(30)) for number in range(45)]
    digests = [prompts.hash(text) for text in made]
    prompts.flush()
    assert len(set(digests)) == 45
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == 10 * 288
    prompts.close()
    assert NearPrompts(KEY, tmp_path, limit=10).hash(made[44] + " more") == digests[44]


def test_prompts_from_one_template_are_not_all_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd of prompts that resemble each other is remembered in part; its near copies are found in that part."""
    monkeypatch.setattr("pipeline.stream.near_prompts._MOST_ALIKE", 20)
    template = " ".join(f"common{k}" for k in range(60))
    crowd = [template + " " + " ".join(f"other{n * 12 + k}" for k in range(14)) for n in range(120)]
    prompts = NearPrompts(KEY)
    hashes = [prompts.hash(prompt) for prompt in crowd]
    assert len(set(hashes)) > 20  # most are no near copies
    assert len(prompts._signatures) < len(set(hashes))  # of these, not all are remembered
    assert [prompts.hash(prompt) for prompt in crowd[:20]] == hashes[:20]
    assert prompts.hash(crowd[0] + " please") == hashes[0]
    assert max(len(prompts._index.query(prompts._sign(prompt))) for prompt in crowd) <= 8 * 20  # of eight bands
