# shellcheck shell=bash disable=SC2034 # variables are for whoever sources this
# The service on a network that leads nowhere. Sourced by ci.sh.

check_no_egress() {
  local image=$1 name=facetwin-ci volume=facetwin-ci-$RANDOM address url=$URL
  # That the probe sees a way out where there is one; otherwise it would prove nothing.
  engine run --rm --entrypoint python "$image" -I -c "$WAY_OUT" ||
    fail "the probe finds no way out of an ordinary network either"
  engine network create --internal facetwin-ci-inside >/dev/null
  run_service "$name" "$volume" "$image" --network facetwin-ci-inside --user 10001
  starts_in_time "on a network without egress" true
  starts=()
  if engine exec "$name" python -I -c "$WAY_OUT"; then fail "there is a way out"; fi
  address=$(engine inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$name")
  URL=http://$address:8000
  enroll collins astronaut.jpg
  verify collins astronaut.jpg match
  verify collins grace_hopper.jpg no_match
  URL=$url
  # shellcheck disable=SC2016 # for awk
  echo "sockets: $(engine exec "$name" awk '$4 == "02" {n++} END {print n + 0}' /proc/net/tcp) outgoing attempts pending"
  stops_in_time "$name"
  engine rm "$name" >/dev/null
  engine volume rm "$volume" >/dev/null
  engine network rm facetwin-ci-inside >/dev/null
  echo "enrolled and verified without a route to anywhere"
}

# Exits with 0 if the kernel would send a packet to an address of another network.
WAY_OUT='
import socket, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    probe.connect(("192.0.2.1", 9))
except OSError:
    sys.exit(1)
'
