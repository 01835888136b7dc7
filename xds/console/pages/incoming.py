"""INCOMING: the rows of what comes in."""

from typing import Final

from xds.console.pages.row import KEY, ConsolePage
from xds.console.views.incoming import feeds, messages, submissions

INCOMING: Final = (
    ConsolePage(
        path="/messages",
        operation=messages.show_list,
        title="Messages",
        template="messages.html",
        roles=messages.READERS,
        parameters=(*messages.FILTERS, "before"),
        menu="Messages",
    ),
    ConsolePage(
        path="/messages/{id:uuid}",
        operation=messages.show,
        title="Message",
        template="message.html",
        roles=messages.READERS,
    ),
    ConsolePage(
        path="/messages/{id:uuid}/resend",
        operation=messages.resend,
        title="Message",
        template="message.html",
        roles=messages.READERS,
        method="POST",
    ),
    ConsolePage(
        path="/messages/{id:uuid}/correct",
        operation=messages.correct,
        title="Message",
        template="message.html",
        roles=messages.READERS,
        method="POST",
        parameters=("text",),
    ),
    ConsolePage(
        path="/dead-letters",
        operation=messages.show_dead_letters,
        title="Dead letters",
        template="dead_letters.html",
        roles=messages.READERS,
        menu="Dead letters",
    ),
    ConsolePage(
        path="/dead-letters/resend",
        operation=messages.resend_group,
        title="Send again",
        template="dead_letters_resend.html",
        roles=messages.READERS,
        method="POST",
        parameters=("state", "verdict", "sender", "count"),
    ),
    ConsolePage(
        path="/submissions",
        operation=submissions.show,
        title="Submissions",
        template="submissions.html",
        roles=submissions.READERS,
        parameters=("before",),
        menu="Submissions",
    ),
    ConsolePage(
        path="/submissions/refused",
        operation=submissions.show_refused,
        title="Refused submissions",
        template="submissions_refused.html",
        roles=submissions.READERS,
        parameters=("before",),
    ),
    ConsolePage(
        path=f"/submissions/refused/{KEY}",
        operation=submissions.show_refusal,
        title="Refused submission",
        template="submission_refused.html",
        roles=submissions.READERS,
    ),
    ConsolePage(
        path="/unknown-codes",
        operation=submissions.show_unknown_codes,
        title="Unknown codes",
        template="unknown_codes.html",
        roles=submissions.READERS,
        menu="Unknown codes",
    ),
    ConsolePage(
        path="/feeds",
        operation=feeds.show,
        title="Feeds",
        template="feeds.html",
        roles=feeds.READERS,
        menu="Feeds",
    ),
    ConsolePage(
        path="/feeds/pause",
        operation=feeds.pause,
        title="Feeds",
        roles=feeds.READERS,
        method="POST",
        parameters=("feed",),
    ),
    ConsolePage(
        path="/feeds/resume",
        operation=feeds.resume,
        title="Feeds",
        roles=feeds.READERS,
        method="POST",
        parameters=("feed",),
    ),
)
"""Messages, submissions and feeds, and what was refused."""
