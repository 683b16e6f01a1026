#!/usr/bin/env bash
# Build wheel and sdist, and use the wheel as a stranger would: alone in an empty
# environment, in an empty folder, with an empty HOME, under each Python that is here.
#
#   tests/wheel.sh PYTHON_WITH_BUILD_AND_TWINE
set -euo pipefail
builder=$(realpath -s "$1")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
began=$SECONDS

"$builder" -m build --no-isolation --outdir "$scratch/dist" . >"$scratch/build.log" ||
  { cat "$scratch/build.log"; exit 1; }
"$builder" -m twine check --strict "$scratch"/dist/*
# A wheel that is made from the sdist alone: what it needs is in there.
mkdir "$scratch/sdist"
tar -xzf "$scratch"/dist/*.tar.gz -C "$scratch/sdist" --strip-components=1
"$builder" -m build --no-isolation --wheel --outdir "$scratch/again" "$scratch/sdist" >/dev/null
names() { "$builder" -m zipfile --list "$1" | awk 'NR > 1 {print $1}' | sort; }
diff <(names "$scratch"/dist/*.whl) <(names "$scratch"/again/*.whl)

# What a stranger has: no home, no caches, no variables of ours.
bare() {
  env -i PATH="$PATH" HOME="$scratch/home" LANG=C.UTF-8 \
    $(env | grep -E '^(PIP_|SSL_|REQUESTS_CA|CURL_CA|https?_proxy|no_proxy|OPENBLAS_)' || true) "$@"
}

python_of() { # the interpreter of a version: from the path, or where pyenv keeps them
  local found
  for found in "$(command -v "python$1" || true)" "$HOME"/.pyenv/versions/"$1".*/bin/python3; do
    [ -x "$found" ] && "$found" -c "import sys; assert '%d.%d' % sys.version_info[:2] == '$1'" 2>/dev/null &&
      { echo "$found"; return; }
  done
  return 1
}

try() { # the wheel alone, under one Python
  local version=$1 python=$2 began=$SECONDS
  rm -rf "$scratch/home" "$scratch/env" "$scratch/empty"
  mkdir "$scratch/home" "$scratch/empty"
  "$python" -m venv "$scratch/env"
  bare "$scratch/env/bin/pip" install --quiet --disable-pip-version-check "$scratch"/dist/*.whl
  cd "$scratch/empty"
  bare "$scratch/env/bin/optimizer" --version
  bare "$scratch/env/bin/optimizer" simulate --out data --orders 2000 --merchants 40 --seed 7
  cat >night.yaml <<'YAML'
version: 1
policy:
  - valid_from: 2022-01-12
    cap: {rate: 0.03}
    fee: {amount_cny: 0.80}
    carriers: [zhongtong, yuantong, yunda]
objective: {complaint_cost_cny: 30, return_cost_cny: 18}
inputs:
  orders: "data/nights/{date}/orders.parquet"
  capacity: "data/nights/{date}/capacity.csv"
  merchants: "data/nights/{date}/merchants.parquet"
output: runs
YAML
  bare "$scratch/env/bin/optimizer" run --config night.yaml --date 2026-11-22
  bare "$scratch/env/bin/optimizer" verify runs/2026-11-22
  bare "$scratch/env/bin/optimizer" explain runs/2026-11-22 >/dev/null
  bare "$scratch/env/bin/python" - <<'PYTHON'
import optimizer

folder = "data/nights/2026-11-22"
night = optimizer.allocate(
    f"{folder}/orders.parquet",
    f"{folder}/capacity.csv",
    merchants=f"{folder}/merchants.parquet",
    config="night.yaml",
    date="2026-11-22",
)
assert night.certificate.gap == 0
best = night.recommendations["order_id"][0]
print(night.explain(best))
PYTHON
  grep -q "<html" runs/2026-11-22/report.html
  cd - >/dev/null
  echo "the wheel alone on Python $version: works ($((SECONDS - began)) s)"
}

tried=0
for version in 3.11 3.13 3.12; do
  [ "$tried" -lt 2 ] || break
  if python=$(python_of "$version"); then
    try "$version" "$python"
    tried=$((tried + 1))
  else
    echo "not tried: there is no Python $version here (neither Debian 12 nor PyPI has one)"
  fi
done
[ "$tried" -ge 1 ]

# A Python that is too old is refused by pip, in its own words.
if old=$(python_of 3.10); then
  "$old" -m venv "$scratch/old"
  if bare "$scratch/old/bin/pip" install --quiet --no-deps "$scratch"/dist/*.whl 2>"$scratch/old.log"; then
    echo "Python 3.10 was not refused"; exit 1
  fi
  grep -q "requires a different Python" "$scratch/old.log"
  echo "Python 3.10: refused by pip"
fi
echo "wheel: $((SECONDS - began)) s"
