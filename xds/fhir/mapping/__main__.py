"""Write docs/mhd-mapping.md: ``python -m xds.fhir.mapping docs/mhd-mapping.md``."""

import sys
from pathlib import Path

from xds.fhir.mapping.documentation import render

Path(sys.argv[1]).write_text(render(), encoding="utf-8")
