# shellcheck shell=bash disable=SC2034 # variables are for whoever sources this
# Whether the images can be built for other machines than this one. Sourced by ci.sh.

# check_platforms: every package of both images has a wheel for amd64 and arm64. Only the index is
# asked. Requirements that hold on one of them alone would be missed; content.py looks for those.
check_platforms() {
  local machine glibc found
  local -a tags
  [[ -d $WORK/pip ]] || python3 -m venv "$WORK/pip"
  "$WORK/pip/bin/pip" install -q -r docker/build-requirements.txt >"$WORK/pip.log" 2>&1 ||
    fail "no pip to ask with: $(tail -3 "$WORK/pip.log")"
  python3 docker/requirements.py train >"$WORK/requirements.txt"
  for machine in x86_64 aarch64; do
    tags=(--platform any --platform "manylinux2014_$machine")
    # Debian bookworm's glibc, the base image's, is 2.36.
    for glibc in $(seq 17 36); do tags+=(--platform "manylinux_2_${glibc}_$machine"); done
    "$WORK/pip/bin/pip" install --dry-run --ignore-installed --only-binary=:all: \
      --target "$WORK/nothing" --python-version 3.11 --implementation cp \
      --abi cp311 --abi abi3 --abi none "${tags[@]}" \
      -c constraints.txt -r "$WORK/requirements.txt" >"$WORK/wheels-$machine.log" 2>&1 ||
      fail "not every package has a wheel for $machine: $(tail -3 "$WORK/wheels-$machine.log")"
    found=$(sed -n 's/^Would install //p' "$WORK/wheels-$machine.log" | tr ' ' '\n' | sort)
    echo "$machine: all $(wc -l <<<"$found") packages have wheels"
    printf '%s\n' "$found" >"$WORK/wheels-$machine.txt"
  done
  diff "$WORK/wheels-x86_64.txt" "$WORK/wheels-aarch64.txt" || fail "versions differ by machine"
}
