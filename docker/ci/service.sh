# shellcheck shell=bash
# A container of the service: start it locked down, ask it, look at it, stop it. Sourced by ci.sh.
PORT=${PORT:-18100}
URL=http://127.0.0.1:$PORT
PORTRAITS=tests/fixtures/portraits
KEY=container-ci-key-0123456789
# No file system but the volume can be written, nothing is permitted, the user is nobody's.
LOCKED=(--read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges
  --user 12345 --memory 1g --pids-limit 256 --cgroup-parent "/$CGROUP")
# First starts whose median counts, and how many more, while other work slows them down all the same.
FIRST_STARTS=3
MORE_STARTS=5

# run_service NAME VOLUME IMAGE [OPTION...]: in the background; the key comes as a file.
run_service() {
  local name=$1 volume=$2 image=$3
  shift 3
  mkdir -p "$WORK/secrets"
  printf 'admin:%s\n' "$KEY" >"$WORK/secrets/facetwin_api_keys"
  engine run -d --name "$name" "${LOCKED[@]}" -v "$volume:/var/lib/facetwin" \
    -v "$WORK/secrets:/run/secrets:ro" -e FACETWIN_SECRETS_DIR=/run/secrets "$@" "$image" >/dev/null
}

check_service() {
  local image=$1 name=facetwin-ci volume=facetwin-ci-$RANDOM
  refuses_strangers "$image"
  stops_while_it_starts "$image"
  starts_in_time "first start, in an empty volume" run_service "$name" "$volume" "$image" \
    -p "127.0.0.1:$PORT:8000"
  first_starts=("${starts[-1]}")
  enroll collins astronaut.jpg
  verify collins astronaut.jpg match
  verify collins grace_hopper.jpg no_match
  memory_of "$name"
  has_no_more_rights "$name"
  finishes_requests "$name"
  starts_in_time "restart" engine start "$name"
  verify collins astronaut.jpg match
  stops_in_time "$name"
  engine rm "$name" >/dev/null
  starts_in_time "new container, same volume" run_service "$name" "$volume" "$image" \
    -p "127.0.0.1:$PORT:8000"
  verify collins astronaut.jpg match
  verify collins grace_hopper.jpg no_match
  stops_in_time "$name"
  engine rm "$name" >/dev/null
  engine volume rm "$volume" >/dev/null
  healthy_soon_enough "$image"
}

# Without keys and without consent, nothing may be served beyond the container.
# (notmpcopyup: as with Docker, a tmpfs is empty.)
refuses_strangers() {
  local output status=0
  output=$(engine run --rm --network none "${LOCKED[@]}" --tmpfs /var/lib/facetwin:mode=0777,notmpcopyup "$1" 2>&1) ||
    status=$?
  if ((status == 0)) || [[ $output != *FACETWIN_ALLOW_ANONYMOUS* ]]; then
    fail "without keys it should refuse to start: $output"
  fi
  echo "without keys: refused, exit code $status"
}

starts=()
first_starts=()

# starts_in_time WHAT COMMAND...: from the command to the first success of the image's healthcheck.
starts_in_time() {
  local what=$1 begin
  shift
  begin=$(milliseconds)
  "$@" >/dev/null
  healthy_within 60 facetwin-ci
  starts+=($(($(milliseconds) - begin)))
  echo "$what: healthy after ${starts[-1]} ms"
}

# healthy_within SECONDS CONTAINER: by its own healthcheck, for which podman has no timer here.
healthy_within() {
  local begin
  begin=$(milliseconds)
  until engine healthcheck run "$2" >/dev/null 2>&1; do
    if (($(milliseconds) - begin > $1 * 1000)) || ! is_running "$2"; then
      engine logs "$2" 2>&1 | tail -20
      fail "$2 is not healthy"
    fi
    sleep 0.1
  done
}

# healthy_soon_enough IMAGE: half of the first starts, which take the longest, as each copies the
# model into an empty volume.
healthy_soon_enough() {
  local median
  while ((${#first_starts[@]} < FIRST_STARTS)); do first_start_again "$1"; done
  while median=$(median_of "${first_starts[@]}") && ((median > MAX_HEALTHY_MS)); do
    ((${#first_starts[@]} < FIRST_STARTS + MORE_STARTS)) ||
      fail "healthy after $median ms instead of $MAX_HEALTHY_MS ms"
    sleep 5
    first_start_again "$1"
  done
  starts=()
  echo "first start to healthy: $median ms (median of ${#first_starts[@]}) of at most $MAX_HEALTHY_MS ms"
}

first_start_again() {
  local name=facetwin-ci volume=facetwin-ci-$RANDOM
  starts_in_time "another first start, load $(cut -d' ' -f1 /proc/loadavg)" \
    run_service "$name" "$volume" "$1" -p "127.0.0.1:$PORT:8000"
  first_starts+=("${starts[-1]}")
  stops_in_time "$name"
  engine rm "$name" >/dev/null
  engine volume rm "$volume" >/dev/null
}

median_of() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# stops_while_it_starts IMAGE: from when SIGTERM is heard, a tenth of a second after the interpreter
# began, long before the service answers. Process 1 ignores what it has no handler for.
stops_while_it_starts() {
  local name=facetwin-ci volume=facetwin-ci-$RANDOM process
  run_service "$name" "$volume" "$1"
  process=$(engine inspect -f '{{.State.Pid}}' "$name")
  until (($((16#$(sed -n 's/^SigCgt:\t//p' "/proc/$process/status"))) & 1 << 14)); do sleep 0.01; done
  echo "in the middle of the start:"
  stops_in_time "$name"
  if grep -q '"ready"' <<<"$(engine logs "$name" 2>&1)"; then fail "it had started already"; fi
  engine rm "$name" >/dev/null
  engine volume rm "$volume" >/dev/null
}

stops_in_time() {
  local begin took code
  begin=$(milliseconds)
  engine stop -t 20 "$1" >/dev/null
  took=$(($(milliseconds) - begin))
  code=$(engine inspect -f '{{.State.ExitCode}}' "$1")
  [[ $code = 0 ]] || fail "exit code $code when stopped"
  ((took <= MAX_STOP_MS)) || fail "took $took ms to stop"
  echo "stopped after $took ms with exit code 0"
}

# finishes_requests CONTAINER: a photo that is on its way when the container is stopped is answered.
finishes_requests() {
  local slow
  { cat "$PORTRAITS/astronaut.jpg" && head -c 600000 /dev/zero; } >"$WORK/slow.jpg"
  call /verify --limit-rate 200K -F "file=@$WORK/slow.jpg" -F subject=collins \
    >"$WORK/slow.json" &
  slow=$!
  sleep 1
  stops_in_time "$1"
  wait "$slow" || fail "a request was cut off by the stop"
  grep -q '"decision":"match"' "$WORK/slow.json" || fail "$(cat "$WORK/slow.json")"
  echo "the request that ran meanwhile was finished"
}

# memory_of CONTAINER: the most that its process ever took, with all its threads at work meanwhile.
memory_of() {
  local most
  export -f call fail
  export KEY URL
  seq 40 | xargs -P 4 -I{} bash -c "call /verify -F file=@$PORTRAITS/astronaut.jpg \
    -F subject=collins >/dev/null" || fail "verifying side by side"
  most=$(engine exec "$1" sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' /proc/1/status)
  most=$((most * 1024 / 1000000))
  echo "memory of the process after 40 photos, 4 at a time: at most $most MB"
  ((most <= MAX_MEMORY_MB)) || fail "its process takes more than $MAX_MEMORY_MB MB"
}

has_no_more_rights() {
  local status
  [[ $(engine exec "$1" id -u) = 12345 ]] || fail "it does not run as the user it was given"
  status=$(engine exec "$1" cat /proc/1/status)
  grep -q '^CapEff:[[:space:]]*0*$' <<<"$status" || fail "its process has capabilities"
  grep -q '^NoNewPrivs:[[:space:]]*1$' <<<"$status" || fail "its process may get privileges"
  # Everyone may write there, were it not for the file system.
  if engine exec "$1" sh -c ': >/tmp/probe' 2>/dev/null; then fail "its root is writable"; fi
  echo "user 12345, no capabilities, no new privileges, read-only root"
}

enroll() {
  call /enroll -F "files=@$PORTRAITS/$2" -F "subject=$1" >/dev/null
}

# verify SUBJECT PHOTO DECISION
verify() {
  local answer
  answer=$(call /verify -F "file=@$PORTRAITS/$2" -F "subject=$1")
  grep -q "\"decision\":\"$3\"" <<<"$answer" || fail "$2: expected $3: $answer"
  echo "$2 against $1: $3"
}

# call PATH [OPTION...]: prints the answer; an error ends the run with it.
call() {
  local path=$1 answer
  shift
  answer=$(curl -sS --fail-with-body -m 60 -H "Authorization: Bearer $KEY" "$@" "$URL$path") ||
    fail "$path: $answer"
  printf '%s\n' "$answer"
}

is_running() { [[ $(engine inspect -f '{{.State.Running}}' "$1") = true ]]; }

milliseconds() { echo $(($(date +%s%N) / 1000000)); }
