"""INCOMING: the rows of what comes in."""

from typing import Final

from xds.console.pages.row import ConsolePage
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
    *(
        ConsolePage(
            path=f"/{title.lower()}",
            operation=operation,
            title=title,
            template=f"{title.lower()}.html",
            roles=roles,
            menu=title,
        )
        for title, operation, roles in (
            ("Submissions", submissions.show, submissions.READERS),
            ("Feeds", feeds.show, feeds.READERS),
        )
    ),
    ConsolePage(
        path="/submissions/refused",
        operation=submissions.show_refused,
        title="Refused submissions",
        template="submissions_refused.html",
        roles=submissions.READERS,
        parameters=("after",),
    ),
)
"""Messages, submissions and feeds, and what was refused."""
