"""`make audit-dependencies`: what is known of the vulnerabilities of constraints.txt.

pip-audit passes over what its advisory service does not answer for, and ends with exit code 0 even
if that is everything. Here that is exit code 2, and said first.
"""

import json
import subprocess
import sys
from typing import Any, Final

FILE: Final = "constraints.txt"
_COMMAND: Final = (
    "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off",
    "--format", "json", "-r", FILE,
)  # fmt: skip


def verdict(report: dict[str, Any] | None) -> tuple[int, list[str]]:
    """Return exit code and lines: 0 where all is known and well, 1 vulnerable, 2 not known."""
    if report is None:
        return 2, [
            f"NOT AUDITED: pip-audit gave no report on {FILE}; it cannot be said to be safe."
        ]
    found = report["dependencies"]
    vulnerable = [one for one in found if one.get("vulns")]
    unknown = [one["name"] for one in found if "skip_reason" in one]
    lines = []
    if unknown:
        lines.append(
            f"NOT AUDITED: the advisory service has no answer for {len(unknown)} of {len(found)} "
            f"packages; nothing is known of {', '.join(unknown)}."
        )
    for one in vulnerable:
        known = ", ".join(
            f"{vuln['id']} (mended in {', '.join(vuln['fix_versions']) or 'none'})"
            for vuln in one["vulns"]
        )
        lines.append(f"VULNERABLE: {one['name']} {one['version']}: {known}")
    if not lines:
        lines.append(f"No vulnerability is known of the {len(found)} packages of {FILE}.")
    return 1 if vulnerable else 2 if unknown else 0, lines


def main() -> int:
    """Run pip-audit and tell what it found."""
    run = subprocess.run([sys.executable, *_COMMAND], capture_output=True, text=True, check=False)
    try:
        report = json.loads(run.stdout)
    except ValueError:
        report = None
        print(run.stderr.strip().rpartition("\n")[2], file=sys.stderr)
    code, lines = verdict(report)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
