"""What every form says of itself: of what it was made, by whom and when, and what is valid."""

from typing import Final

from xds import PRODUCT, __version__
from xds.content.pages.shown import shown_time

SOFTWARE: Final = f"{PRODUCT} {__version__}"


def converted(unique_id: str, made: str) -> str:
    """Return the sentence about a form of one document; ``made`` is a DTM."""
    return (
        f"Converted from {unique_id} by {SOFTWARE} at {shown_time(made)}; "
        "the original is legally valid."
    )


def summarised(documents: int, made: str) -> str:
    """Return the sentence about what was made of several documents; ``made`` is a DTM."""
    of = "1 document" if documents == 1 else f"{documents} documents"
    return (
        f"Made automatically of {of} by {SOFTWARE} at {shown_time(made)}; "
        "the originals are legally valid."
    )
