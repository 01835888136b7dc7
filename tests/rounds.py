"""How often tests repeat what depends on chance: seldom in the quick run, often in the slow one."""

import pytest


def rounds(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with ``rounds`` few and, in the slow run, with many."""
    slow = pytest.param(many, id="many rounds", marks=pytest.mark.slow)
    return pytest.mark.parametrize("rounds", [pytest.param(few, id=pytest.HIDDEN_PARAM), slow])
