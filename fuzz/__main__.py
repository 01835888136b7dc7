"""`make fuzz`, which is `python -m fuzz [SECONDS] [TARGET]...`: fuzz each target for a while.

Every target runs in a process of its own, by libFuzzer. What crashes, hangs for ten seconds or
grows beyond a gigabyte is written to build/fuzz/TARGET and ends the run with exit code 1; so does
a target of which no code was seen to run, since fuzzing without coverage finds nothing.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOUND: Final = Path("build/fuzz")
_LIMITS: Final = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=16384", "-len_control=0")
_QUIET: Final = ("-print_final_stats=1", "-verbosity=1", "-detect_leaks=0")


def fuzz_one(name: str, arguments: Sequence[str]) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    # what was imported before this is not instrumented, and fuzzed blindly
    assert not [module for module in sys.modules if module.partition(".")[0] == "xds"]
    with atheris.instrument_imports(include=["xds", "fuzz.targets"]):
        from fuzz.targets import TARGETS
        from xds import logs
    logs.configure("error", "json")
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def _fuzzed(name: str, seconds: int) -> bool:
    """Fuzz one target in a process of its own, tell the figures, and whether nothing was found."""
    from fuzz.targets import CORPUS

    folder = FOUND / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    arguments = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/", *_LIMITS, *_QUIET]
    corpora = [str(folder / "corpus"), str(CORPUS / name)]
    command = [sys.executable, "-m", "fuzz", "--one", name, *arguments, *corpora]
    with (folder / "log").open("wb") as log:
        code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
    told = (folder / "log").read_text(errors="replace")
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", told))
    executions = int(stats.get("number_of_executed_units", 0))
    covered = re.findall(r" cov: (\d+)", told)
    verdict = "nothing found"
    if code:
        verdict = f"FOUND (exit {code}): see {folder}"
    elif not covered:
        verdict = "FAILED: the code is not instrumented, so that nothing can be found"
    print(
        f"{name:<11}{executions:>11,} executions {_last(covered):>6} edges "
        f"{stats.get('peak_rss_mb', '?'):>5} MB at most   {verdict}",
        flush=True,
    )
    return code == 0 and bool(covered)


def _last(found: Sequence[str]) -> str:
    return found[-1] if found else "0"


def main(arguments: Sequence[str]) -> int:
    """Fuzz what is named, or everything."""
    if arguments[:1] == ["--one"]:
        fuzz_one(arguments[1], arguments[2:])
        return 0
    from fuzz.targets import TARGETS

    seconds = int(next((word for word in arguments if word.isdecimal()), "60"))
    names = [word for word in arguments if not word.isdecimal()] or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        print(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    print(f"{seconds} s for each of {', '.join(names)}", flush=True)
    found_nothing = [_fuzzed(name, seconds) for name in names]  # each, whatever the others found
    return 0 if all(found_nothing) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
