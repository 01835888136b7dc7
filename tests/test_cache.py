"""The cache of latest values."""

from xds.cache import Cache


def test_what_was_used_least_lately_goes_first() -> None:
    cache: Cache[str, int] = Cache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_a_value_takes_the_place_of_another_of_its_key() -> None:
    cache: Cache[str, str] = Cache(5, size=len)
    for value in ("abc", "ab", "abcd"):
        cache.put("a", value)
        assert cache.get("a") == value
    cache.put("b", "a")
    assert (cache.get("a"), cache.get("b")) == ("abcd", "a")
    cache.put("c", "too large")
    assert [cache.get(key) for key in "abc"] == [None, None, None]
    cache.put("d", "fits")
    assert cache.get("d") == "fits"


def test_a_value_is_forgotten_in_time() -> None:
    cache: Cache[str, int] = Cache(2, seconds=-1.0)
    cache.put("a", 1)
    assert cache.get("a") is None
