# shellcheck shell=bash disable=SC2016,SC2034 # $1 is mmdebstrap's; variables are for who sources this
# Builds and runs images on a Debian machine that has no Docker engine; sourced by ci.sh.
#
#   prepare_engine   install what is missing, make a base image; returns 1 where that can't be done
#   build_image      FILE TAG [OPTION...]: build the unmodified Dockerfile FILE
#   debian_image     an image of Debian with some packages
#   engine           podman, with the settings of this run
#
# PYTHON_IMAGE=NAME in the environment pulls that base image instead of making a stand-in of Debian's
# Python. WORK holds everything; nothing of the machine's own containers is touched.
: "${WORK:=${TMPDIR:-/tmp}/facetwin-images}"
STAND_IN=localhost/facetwin-ci-base:bookworm
TOOLS=(buildah podman runc netavark aardvark-dns iptables mmdebstrap)

# Why there is no engine, for whoever skips.
why_not=

prepare_engine() {
  if [[ $(id -u) != 0 ]]; then
    why_not="only root can do that"
    return 1
  fi
  _install_tools || return 1
  mkdir -p "$WORK/mnt"
  _write_settings
  export CONTAINERS_STORAGE_CONF=$WORK/storage.conf CONTAINERS_CONF=$WORK/containers.conf
  if [[ -n ${PYTHON_IMAGE:-} ]]; then
    engine pull -q "$PYTHON_IMAGE" >/dev/null || { why_not="$PYTHON_IMAGE can't be pulled"; return 1; }
  else
    PYTHON_IMAGE=$STAND_IN
    engine image exists "$STAND_IN" || _make_stand_in || return 1
  fi
  if ! engine run --rm --network none "$PYTHON_IMAGE" true >"$WORK/probe.log" 2>&1; then
    why_not="containers can't be run here: $(tail -1 "$WORK/probe.log")"
    return 1
  fi
}

# Podman complains that there is no systemd for timers of healthchecks; its helpers of the level, and
# that there is no syslog.
engine() {
  podman --log-level=fatal "$@" 2> >(grep -vE 'invalid logging spec|connect to syslog' >&2)
}

build_image() {
  local file=$1 tag=$2 mounted noted
  local -a fresh=()
  shift 2
  # Buildah takes no notice when what a RUN step mounts has changed, and would take the old layer.
  mounted=$(grep -oh 'source=[^,]*' "$file" | cut -d= -f2 | sort -u | xargs sha256sum)
  noted=$WORK/mounted-$(basename "$file")-${tag##*:}
  [[ -f $noted && $(<"$noted") = "$mounted" ]] || fresh=(--no-cache)
  # pip's trust and index are the machine's, for the RUN steps alone: the Dockerfiles name no host.
  # HEALTHCHECK needs the format docker. What did not change is not built again, as with Docker.
  if ! nice buildah build --layers --pull=never --format docker \
    --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" \
    --volume "$WORK/mnt:/run/ci:ro" --volume "$WORK/mnt/pip.conf:/etc/pip.conf:ro" \
    "${fresh[@]}" -f "$file" -t "$tag" "$@" . >"$WORK/build.log" 2>&1; then
    tail -40 "$WORK/build.log"
    return 1
  fi
  printf '%s\n' "$mounted" >"$noted"
}

_install_tools() {
  local tool missing=()
  for tool in buildah podman runc mmdebstrap; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]})) || return 0
  if ! command -v apt-get >/dev/null; then
    why_not="${missing[*]} missing, which only Debian has under these names"
    return 1
  fi
  if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${TOOLS[@]}"; } >"${TMPDIR:-/tmp}/facetwin-apt.log" 2>&1; then
    why_not="${missing[*]} can't be installed: $(tail -1 "${TMPDIR:-/tmp}/facetwin-apt.log")"
    return 1
  fi
}

_write_settings() {
  cat >"$WORK/storage.conf" <<EOF
[storage]
driver = "overlay"
graphroot = "$WORK/graph"
runroot = "$WORK/run"
EOF
  # runc: crun refuses machines with both versions of cgroups. There may be no systemd.
  cat >"$WORK/containers.conf" <<EOF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
network_config_dir = "$WORK/networks"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
EOF
  local bundle=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
  echo '[global]' >"$WORK/mnt/pip.conf"
  if [[ -f $bundle ]]; then
    cp "$bundle" "$WORK/mnt/ca.pem"
    echo 'cert = /run/ci/ca.pem' >>"$WORK/mnt/pip.conf"
  fi
  if [[ -n ${PIP_INDEX_URL:-} ]]; then
    echo "index-url = $PIP_INDEX_URL" >>"$WORK/mnt/pip.conf"
  elif [[ -f /etc/pip.conf ]]; then
    grep -E '^ *(index-url|trusted-host|proxy) *=' /etc/pip.conf >>"$WORK/mnt/pip.conf" || true
  fi
}

# Debian's Python in the place of the official image, as CI may reach no registry. What it lacks
# against that one is nothing that the Dockerfiles use.
_make_stand_in() {
  debian_image "$STAND_IN" ca-certificates,netbase,tzdata,python3,python3-venv 'CMD ["python3"]' \
    --customize-hook='rm -f "$1"/usr/lib/python3.*/EXTERNALLY-MANAGED' \
    --customize-hook='for n in python python3; do ln -s /usr/bin/python3 "$1/usr/local/bin/$n"; done'
}

# debian_image TAG PACKAGES COMMAND [OPTION...]: an image of Debian and these packages.
debian_image() {
  local tag=$1 packages=$2 command=$3 sources=/etc/apt/sources.list
  shift 3
  [[ -f /etc/apt/sources.list.d/debian.sources ]] && sources=/etc/apt/sources.list.d/debian.sources
  if ! nice mmdebstrap --variant=minbase --components=main --include="usr-is-merged,$packages" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$@" \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
    bookworm "$WORK/base.tar" "$sources" >"$WORK/mmdebstrap.log" 2>&1; then
    why_not="no image of Debian can be made: $(tail -1 "$WORK/mmdebstrap.log")"
    return 1
  fi
  engine import -q -c 'ENV LANG=C.UTF-8' -c "$command" \
    -c 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$WORK/base.tar" "$tag" >/dev/null
  rm "$WORK/base.tar"
}
