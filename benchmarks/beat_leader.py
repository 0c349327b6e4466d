"""A leader for ``benchmarks.beat``, over entries that are stored already."""

from __future__ import annotations

import os
import signal

from benchmarks.beat import make_app
from switchyard.beat.service import Beat
from switchyard.settings import Settings
from switchyard.transport.opening import open_state

if __name__ == "__main__":
    app = make_app(os.environ["TEST_BROKER"])
    app.set_current()
    app.finalize()
    beat = Beat(app, open_state(app, Settings()))
    signal.signal(signal.SIGTERM, lambda *_: beat.stop())
    beat.run()
