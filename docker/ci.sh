#!/usr/bin/env bash
# Build both images and prove what docs/operations.md says of them. Root on Debian, or skipped.
#
#   docker/ci.sh                 everything
#   TRAINING=0 docker/ci.sh      without the training job
#   REQUIRED=1 docker/ci.sh      fail instead of skipping where containers can't be run
set -euo pipefail
cd "$(dirname "$0")/.."
here=docker/ci
# shellcheck source=docker/engine.sh
source docker/engine.sh
# shellcheck source=docker/ci/priority.sh
source $here/priority.sh
# shellcheck source=docker/ci/service.sh
source $here/service.sh
# shellcheck source=docker/ci/volumes.sh
source $here/volumes.sh
# shellcheck source=docker/ci/network.sh
source $here/network.sh
# shellcheck source=docker/ci/compose.sh
source $here/compose.sh
# shellcheck source=docker/ci/training.sh
source $here/training.sh
# shellcheck source=docker/ci/platforms.sh
source $here/platforms.sh

# What issue and documentation promise of the image that serves.
MAX_IMAGE_MB=450
MAX_MEMORY_MB=250
MAX_HEALTHY_MS=3000
MAX_STOP_MS=10000

left_out=()

# not_checked WHY: on a machine that lacks a tool; the last lines tell of it again.
not_checked() {
  left_out+=("$1")
  echo "NOT CHECKED: $1"
}

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

# Linters and podman-compose, where the machine has none.
get_tools() {
  [[ -d $WORK/tools ]] || python3 -m venv "$WORK/tools"
  local requirement
  while read -r requirement; do
    "$WORK/tools/bin/pip" install -q "$requirement" >"$WORK/tools.log" 2>&1 ||
      not_checked "$requirement can't be had: $(tail -1 "$WORK/tools.log")"
  done < <(grep -v '^#' $here/requirements.txt)
  PATH=$PATH:$WORK/tools/bin
}

lint() {
  try hadolint hadolint Dockerfile docker/serving.Dockerfile
  try shellcheck shellcheck -x docker/*.sh docker/ci/*.sh
  try kubernetes-validate kubernetes-validate --strict docker/kubernetes/*.yaml
}

# try TOOL COMMAND...: must succeed, unless the tool can't be had.
try() {
  if ! command -v "$1" >/dev/null; then
    not_checked "$1 was not run"
  elif "${@:2}" >"$WORK/lint.log" 2>&1; then
    echo "$1: clean"
  else
    fail "$1: $(cat "$WORK/lint.log")"
  fi
}

build() {
  local revision begin
  revision=$(git describe --always --abbrev=40 --dirty --exclude '*' 2>/dev/null || echo unknown)
  begin=$(milliseconds)
  build_image "$@" --build-arg "REVISION=$revision" || fail "$1 can't be built"
  echo "built in $((($(milliseconds) - begin) / 1000)) s"
}

# Files, packages and size of an image; its folder is mounted to be read only.
check_content() {
  local image=$1 flavour=$2 root base megabytes
  root=$(engine image mount "$image")
  base=$(engine image mount "$PYTHON_IMAGE")
  python3 $here/content.py "$root" "$base" "$flavour" --list "$WORK/files-$flavour.txt"
  engine image unmount "$image" >/dev/null
  engine image unmount "$PYTHON_IMAGE" >/dev/null
  megabytes=$(($(engine image inspect -f '{{.Size}}' "$image") / 1000000))
  echo "image size: $megabytes MB, of it $(($(engine image inspect -f '{{.Size}}' "$PYTHON_IMAGE") / 1000000)) MB base image"
  if [[ $flavour = serving ]]; then
    ((megabytes <= MAX_IMAGE_MB)) || fail "$image has more than $MAX_IMAGE_MB MB"
  fi
}

# check_repeatable FILE IMAGE [OPTION...]: nothing that was built before is used; what is installed
# must come out the same.
check_repeatable() {
  local again=localhost/facetwin:again
  packages_of "$2" >"$WORK/packages-once.txt"
  build "$1" "$again" --no-cache "${@:3}"
  packages_of "$again" >"$WORK/packages-again.txt"
  diff "$WORK/packages-once.txt" "$WORK/packages-again.txt" || fail "two builds differ"
  engine rmi "$again" >/dev/null
  echo "two builds have the same $(wc -l <"$WORK/packages-once.txt") packages"
}

packages_of() {
  engine run --rm --network none --entrypoint /opt/venv/bin/python "$1" -I -c 'if True:
    from importlib.metadata import distributions
    print(*sorted(f"{d.name}=={d.version}" for d in distributions()), sep="\n")'
}

try_image() {
  local image=$1 flavour=$2
  say "$flavour: what is in the image"
  check_content "$image" "$flavour"
  say "$flavour: locked down, over the published port"
  with_priority check_service "$image"
  say "$flavour: without egress"
  with_priority check_no_egress "$image"
}

main() {
  say "container tools"
  if ! prepare_engine; then
    echo "SKIPPED: the images were not built: $why_not."
    [[ ${REQUIRED:-0} = 0 ]]
    exit
  fi
  trap clean_up EXIT
  clean_up
  get_tools
  say "lint"
  lint
  say "wheels for amd64 and arm64"
  check_platforms
  say "build docker/serving.Dockerfile"
  build docker/serving.Dockerfile localhost/facetwin:serving
  try_image localhost/facetwin:serving serving
  say "serving: volumes that are old, of a newer version, read-only or full"
  with_priority check_volumes localhost/facetwin:serving
  say "serving: by the compose files, alone and behind nginx"
  check_compose localhost/facetwin:serving
  say "build Dockerfile"
  build Dockerfile localhost/facetwin:training
  try_image localhost/facetwin:training training
  if [[ ${TRAINING:-1} = 1 ]]; then
    say "training: a tiny job, interrupted and resumed"
    with_priority check_training localhost/facetwin:training
  else
    echo "TRAINING=0: no training job was run"
  fi
  say "build docker/serving.Dockerfile again, from nothing"
  check_repeatable docker/serving.Dockerfile localhost/facetwin:serving
  say "build the packages of Dockerfile again, from nothing"
  check_repeatable Dockerfile localhost/facetwin:training --target dependencies
  ((${#left_out[@]} == 0)) || printf 'NOT CHECKED: %s\n' "${left_out[@]}"
  say "images: all checks that were made passed (${#left_out[@]} left out); they are in $WORK, which can be deleted"
  ((${#left_out[@]} == 0)) || [[ ${REQUIRED:-0} = 0 ]]
}

clean_up() {
  engine rm -f -a -t 0 >/dev/null 2>&1 || true
  umount "$WORK/small" 2>/dev/null || true
  engine volume prune -f >/dev/null 2>&1 || true
  engine volume rm -a -f >/dev/null 2>&1 || true
  engine network rm -f "$INSIDE" >/dev/null 2>&1 || true
  remove_groups
}

main "$@"
