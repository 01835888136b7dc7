"""Why a caller is turned away: not permitted, or not known for certain."""

from xds.errors import FailureKind


class AccessDenied(Exception):
    """The caller may not do this; the text says why in general terms and names no patient."""

    failure_kind = FailureKind.DENIED

    def __init__(self, said: str, *, rule: str = "", needs_user: bool = False) -> None:
        super().__init__(said)
        self.rule = rule
        """What has decided it, for log and audit; the caller is not told."""
        self.needs_user = needs_user
        """Whether it might be permitted to a user, and there is none."""


class AuthenticationFailed(Exception):
    """Nobody vouches for the user of a request as the options want it (ITI TF-2 3.40.4.1.3).

    The text is the reason for log and audit: of what came it quotes nothing. What the sender is
    told is the binding's.
    """

    failure_kind = FailureKind.DENIED


class NodeAuthenticationFailed(AuthenticationFailed):
    """A node has not proved to be one that may come in (ITI TF-2 3.19); the text as above.

    Where that is found out before a transaction is known, the access names none.
    """
