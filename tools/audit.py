"""Ask whether what is installed has known weaknesses: python -m tools.audit

pip-audit asks the Python Packaging Advisory Database; it runs in an environment of its
own, because it brings two dozen packages that nothing else here needs. Where its
service cannot be reached nothing was audited, and one sentence says so.
"""

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PLACE = ROOT / "_build" / "audit"
# Weaknesses that do not reach us, each with the reason: none yet.
ACCEPTED: dict[str, str] = {}


def installed() -> list[str]:
    """What pip finds here, as pinned requirements, without what is not from PyPI."""
    freeze = [sys.executable, "-m", "pip", "list", "--format", "json"]
    listed = json.loads(subprocess.run(freeze, capture_output=True, check=True).stdout)
    return [
        f"{each['name']}=={each['version'].partition('+')[0]}"
        for each in listed
        if "editable_project_location" not in each
    ]


def asked(requirements: Sequence[str]) -> dict[str, Any]:
    """What pip-audit says of these; its environment is made on first use.

    Raises:
        OSError: if pip-audit said nothing that can be read.
    """
    python = PLACE / "bin" / "python"
    if not python.exists():
        venv.create(PLACE, with_pip=True)
        install = [python, "-m", "pip", "install", "--quiet", "pip-audit==2.10.1"]
        subprocess.run(install, check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(requirements))
        file.flush()
        command = [python, "-m", "pip_audit", "--requirement", file.name]
        command += ["--no-deps", "--disable-pip", "--format", "json"]
        command += ["--progress-spinner", "off"]
        said = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(said.stdout)
    except ValueError as error:
        raise OSError(said.stderr.strip().splitlines()[-1:] or "nothing") from error


def verdict(answer: dict[str, Any]) -> tuple[str, int]:
    """A line for each weakness and one for all, and the exit status.

    >>> verdict({"dependencies": [{"name": "a", "skip_reason": "not found"}]})
    ('The audit was skipped: its service told nothing about 1 package.', 0)
    >>> verdict({"dependencies": [{"name": "a", "version": "1", "vulns": []}]})
    ('1 package audited, none with a known weakness; 0 unknown there.', 0)
    """
    packages = answer["dependencies"]
    known = [each for each in packages if "vulns" in each]
    noun = f"package{'s' * (len(packages) != 1)}"
    if not known:
        why = f"its service told nothing about {len(packages)} {noun}"
        return f"The audit was skipped: {why}.", 0
    lines = [
        f"{each['name']} {each['version']}: {weak['id']}, mended in "
        f"{', '.join(weak['fix_versions']) or 'no release'}"
        for each in known
        for weak in each["vulns"]
        if weak["id"] not in ACCEPTED
    ]
    noun = f"package{'s' * (len(known) != 1)}"
    told = f"{len(lines)} known weaknesses" if lines else "none with a known weakness"
    unknown = len(packages) - len(known)
    lines.append(f"{len(known)} {noun} audited, {told}; {unknown} unknown there.")
    return "\n".join(lines), int(len(lines) > 1)


def main() -> int:
    """Audit the environment; 1 if a package has a weakness that is not accepted."""
    try:
        answer = asked(installed())
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The audit was skipped: pip-audit could not ask its service ({error}).")
        return 0
    said, status = verdict(answer)
    print(said)
    return status


if __name__ == "__main__":
    sys.exit(main())
