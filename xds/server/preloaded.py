"""What is done in the process that all others of a server are forks of, once it has read them.

It reads the modules that every process needs, this one last, and does nothing else
(:mod:`multiprocessing.forkserver`). It has no threads, so that its forks are as good as processes
that start afresh. A stop that is meant for all processes of a server does not end it before the
others have gone: they end with their supervisor, and it ends with them.
"""

import gc
import os
import signal
from functools import partial

os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
gc.collect()
gc.freeze()  # so that collections do not copy the memory that forks share
