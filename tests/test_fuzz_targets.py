"""What the fuzzer starts from, and what it found, as tests: see `fuzz/targets.py`."""

import pytest

from fuzz.targets import TARGETS, seeds


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_seeds_which_it_reads(name: str) -> None:
    found = list(seeds(name))
    assert found
    for path in found:
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_that_are_cut_or_damaged_are_refused_in_order(name: str) -> None:
    for path in seeds(name):
        data = path.read_bytes()
        for cut in range(0, len(data), max(len(data) // 7, 1)):
            TARGETS[name](data[:cut])
            TARGETS[name](data[:cut] + b"\xff\0<'\x0b" + data[cut + 1 :])


def test_the_corpus_is_small() -> None:
    sizes = [path.stat().st_size for name in TARGETS for path in seeds(name)]
    assert sum(sizes) < 1_000_000
    assert max(sizes) < 50_000
