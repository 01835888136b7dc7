"""What every process of a server needs, read once: each is a fork of the one that imports this.

That process does nothing else (:mod:`multiprocessing.forkserver`), and has no threads, so that its
forks are as good as processes that start afresh. A stop that is meant for all processes of a server
does not end it before the others have gone: they end with their supervisor, and it ends with them.
"""

import gc
import os
import signal
from functools import partial

from xds import app as app
from xds.hl7v2 import listener as listener
from xds.server import worker as worker

os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
gc.collect()
gc.freeze()  # so that collections do not copy the memory that forks share
