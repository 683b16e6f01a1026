#!/usr/bin/env bash
# Builds the wheel and the sdist, and uses the wheel where there is nothing else: an
# empty environment of each Python, an empty HOME, an empty folder, no network.
# Needs an environment with hatchling and twine: make wheel.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
tools=${1:-$root/.venv/bin}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset PYTHONPATH VIRTUAL_ENV
pyenv=${PYENV_ROOT:-$HOME/.pyenv} # before HOME is another
mkdir "$place/home" "$place/dist"
export HOME=$place/home # pip's cache too: both Pythons share what is downloaded

say() { printf 'wheel: %s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }
# What is missing here: said, and a failure where nothing may be missing.
lack() { if [ "${OPTIMIZER_TESTS:-}" = all ] || [ -n "${CI:-}" ]; then fail "$*"; else say "$*"; fi; }

# The newest patch of a version, on the path or where pyenv keeps it.
find_python() {
  local found candidate
  for candidate in "python$1" "$(ls -d "$pyenv/versions/$1".* 2>/dev/null | sort -V | tail -1)/bin/python"; do
    found=$(command -v "$candidate") || continue
    # A shim of pyenv stands for a version that may not be there.
    "$found" -c "import ensurepip, sys; sys.exit('$1' != '%d.%d' % sys.version_info[:2])" 2>/dev/null || continue
    echo "$found"
    return
  done
}

# The oldest Python and the newest; 3.12 only stands in for 3.13.
versions=()
for version in 3.11 3.13 3.12; do
  [[ $version = 3.12 && " ${versions[*]:-} " = *" 3.13 "* ]] && continue
  if [ -n "$(find_python "$version")" ]; then
    versions+=("$version")
  else
    say "there is no Python $version with venv on the path or in $pyenv: the wheel is not run on it"
  fi
done
[ "${#versions[@]}" -gt 0 ] || fail "no Python was found to run it on"
[ "${#versions[@]}" -gt 1 ] ||
  lack "only one Python was found: put python3.13 or python3.12 on the path, or in a pyenv (PYENV_ROOT)"

# How to take the network away.
alone=()
for way in "unshare -n" "unshare -rn"; do
  if $way true 2>/dev/null; then
    alone=($way)
    break
  fi
done
[ "${#alone[@]}" -gt 0 ] ||
  lack "the network cannot be taken away here: unshare -n is refused, or not there (apt-get install util-linux)"

cd "$root"
"$tools/python" -m hatchling build -d "$place/dist" >/dev/null
wheel=$(ls "$place"/dist/*.whl) sdist=$(ls "$place"/dist/*.tar.gz)
"$tools/twine" check --strict "$wheel" "$sdist"

# The sdist has every file that is tracked, and makes the same wheel.
tar -xzf "$sdist" -C "$place"
source=$(basename "$sdist" .tar.gz)
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  git ls-files | sort >"$place/tracked"
  tar -tzf "$sdist" | sed "s|^$source/||" | sort >"$place/packed"
  lost=$(comm -23 "$place/tracked" "$place/packed" | grep -v '^\.gitignore$' || true)
  [ -z "$lost" ] || fail "the sdist lacks: $(echo $lost)"
  lost=$(git ls-files optimizer | sort | comm -23 - <("$tools/python" -m zipfile -l "$wheel" | awk 'NR > 1 {print $1}' | sort))
  [ -z "$lost" ] || fail "the wheel lacks: $(echo $lost)"
fi
(cd "$place/$source" && "$tools/python" -m hatchling build -t wheel -d "$place/again" >/dev/null)
cmp "$wheel" "$place"/again/*.whl || fail "the sdist makes another wheel than the tree"
say "built; the sdist has all that is tracked and makes the same wheel, byte for byte"

# Python 3.10 is refused by pip, which needs none for that.
refused=$("$tools/python" -m pip download --disable-pip-version-check --no-deps \
  --python-version 3.10 --only-binary=:all: --dest "$place/none" "$wheel" 2>&1) &&
  fail "pip would take it for Python 3.10"
grep -q "3.10.*not in '>=3.11'" <<<"$refused" || fail "pip does not say why 3.10 is refused: $refused"
say "Python 3.10 is refused: needs >=3.11"

# From here on no network: what was installed is enough.
use_wheel() {
  local python=$1 version=$2 here=$place/$2
  mkdir "$here" "$here/home" "$here/empty"
  "$python" -m venv "$here/env"
  "$here/env/bin/pip" install --quiet --disable-pip-version-check --no-compile "$wheel"
  cat >"$here/empty/night.yaml" <<'YAML'
version: 1
policy:
  - valid_from: 2022-01-12
    cap: {rate: 0.03}
    fee: {amount_cny: 0.80}
    carriers: [zhongtong, yuantong, yunda, shunfeng]
objective: {complaint_cost_cny: 30, return_cost_cny: 18}
inputs:
  orders: data/nights/{date}/orders.parquet
  capacity: data/nights/{date}/capacity.csv
  merchants: data/nights/{date}/merchants.parquet
output: runs
YAML
  cp "$root/tests/packaging/use_it.py" "$here/use_it.py"
  "${alone[@]}" env -i PATH=/usr/bin:/bin HOME="$here/home" TMPDIR="$here" \
    bash -euo pipefail -c '
      cd "$1/empty"
      optimizer=$1/env/bin/optimizer
      "$optimizer" --version
      "$optimizer" simulate --out data --orders 5000 --merchants 50 --seed 7
      "$optimizer" run --config night.yaml --date 2026-11-22 | head -4
      "$optimizer" run --config night.yaml --date 2026-11-22 | head -1
      "$optimizer" verify runs/2026-11-22
      order=$("$1/env/bin/python" "$1/use_it.py" "$1/env" "$2")
      "$optimizer" explain runs/2026-11-22 "$order" | head -3
      refused=0
      "$optimizer" learn --config night.yaml --history none.parquet 2>learn.txt || refused=$?
      grep -q "pip install .premium-delivery-optimizer\[outcomes\]" learn.txt
      test "$refused" = 2
    ' _ "$here" "$version" || fail "the wheel does not do on Python $version"
  say "Python $version: version, simulate, run, verify, explain, allocate, without ${alone[*]:+network, }repository, HOME"
}

for version in "${versions[@]}"; do
  use_wheel "$(find_python "$version")" "$version"
done
say "ran on Python ${versions[*]}"
