# shellcheck shell=bash disable=SC2034 # variables are for whoever sources this
# Containers on a network that leads nowhere. Sourced by ci.sh.

check_no_egress() {
  local image=$1 name=facetwin-ci volume=facetwin-ci-$RANDOM url=$URL
  # That the probe sees a way out where there is one; otherwise it would prove nothing.
  engine run --rm --entrypoint python "$image" -I -c "$WAY_OUT" ||
    fail "the probe finds no way out of an ordinary network either"
  engine network create --internal "$INSIDE" >/dev/null
  run_service "$name" "$volume" "$image" --network "$INSIDE" --user 10001
  starts_in_time "on a network without egress" true
  starts=()
  has_no_way_out "$name"
  URL=$(url_inside "$name")
  enroll collins astronaut.jpg
  verify collins astronaut.jpg match
  verify collins grace_hopper.jpg no_match
  URL=$url
  stops_in_time "$name"
  engine rm "$name" >/dev/null
  engine volume rm "$volume" >/dev/null
  engine network rm "$INSIDE" >/dev/null
  echo "enrolled and verified without a route to anywhere"
}

INSIDE=facetwin-ci-inside

# url_inside CONTAINER: where it answers on the network inside; another address after each start.
url_inside() {
  echo "http://$(engine inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"):8000"
}

# has_no_way_out CONTAINER: any other failure of the probe proves nothing.
has_no_way_out() {
  local status=0
  engine exec "$1" python -I -c "$WAY_OUT" || status=$?
  ((status == 7)) || fail "there is a way out, or none could be looked for: exit code $status"
}

# Exits with 0 if the kernel would send a packet to an address of another network, with 7 if not.
WAY_OUT='
import socket, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    probe.connect(("192.0.2.1", 9))
except OSError:
    sys.exit(7)
'
