"""Write docs/mhd-mapping.md: ``python -m xds.mhd.mapping docs/mhd-mapping.md``."""

import sys
from pathlib import Path

from xds.mhd.mapping.documentation import render

Path(sys.argv[1]).write_text(render(), encoding="utf-8")
