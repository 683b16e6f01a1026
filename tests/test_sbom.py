"""The list of what an install is made of is the lock, whole, as other tools read it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "run.lock"


def recipe(text: str, output: Path) -> list[str]:
    """The command of a Makefile or a script that writes the list, to another place."""
    joined = text.replace("\\\n", " ")
    (line,) = [line for line in joined.splitlines() if "cyclonedx-py" in line]
    words = line.split()[1:]
    words[-1] = str(output)
    return [str(Path(sys.executable).with_name("cyclonedx-py")), *words]


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The list as ``make sbom`` writes it, and as a release does."""
    folder, found = tmp_path_factory.mktemp("sbom"), []
    for name in ("Makefile", ".ci/release"):
        output = folder / f"{len(found)}.json"
        words = recipe((ROOT / name).read_text("utf-8"), output)
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
        found.append(output.read_bytes())
    return found


def test_the_list_is_the_lock_with_its_hashes(lists: list[bytes]) -> None:
    """Every pin is a component with its version and all of its hashes, and no other."""
    pins = {
        match[1]: (match[2], {*re.findall(r"sha256:([0-9a-f]{64})", match[3])})
        for match in re.finditer(
            r"^([a-z0-9-]+)==(\S+)(.*?)(?=^[a-z]|\Z)", LOCK.read_text(), re.M | re.S
        )
    }
    assert len(pins) > 30
    told = {
        part["name"]: (
            part["version"],
            {
                item["content"]
                for place in part["externalReferences"]
                for item in place["hashes"]
            },
        )
        for part in json.loads(lists[0])["components"]
    }
    assert told == pins


def test_the_list_follows_its_schema(lists: list[bytes]) -> None:
    """CycloneDX 1.6, strictly; a list without its form does not."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(lists[0].decode()) is None
    broken = json.loads(lists[0])
    broken["components"][0].pop("name")
    assert validator.validate_str(json.dumps(broken)) is not None


def test_the_same_lock_is_the_same_list(lists: list[bytes]) -> None:
    """Byte for byte, from the Makefile and from a release."""
    assert lists[0] == lists[1]
