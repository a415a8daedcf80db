# shellcheck shell=bash disable=SC2034 # variables are for whoever sources this
# Volumes that an older, a newer or no image wrote, and such that can't be written. Sourced by ci.sh.

check_volumes() {
  local image=$1 name=facetwin-ci volume=facetwin-ci-$RANDOM
  install -d -m 0700 "$WORK/foreign" "$WORK/backup"
  ends_with "read-only volume" "can't be made: Read-only file system" "$image" \
    -v "$volume:/var/lib/facetwin:ro"
  ends_with "volume of another user" "can't be written: Permission denied.*user 12345" "$image" \
    -v "$WORK/foreign:/var/lib/facetwin"
  ends_with "full volume" "No space left on device" "$image" \
    --tmpfs /var/lib/facetwin:size=4m,mode=0777,notmpcopyup
  starts_in_time "first start" run_service "$name" "$volume" "$image" -p "127.0.0.1:$PORT:8000"
  enroll collins astronaut.jpg
  stops_in_time "$name"
  engine rm "$name" >/dev/null

  ends_with "volume that can be read only from now on" "can't be made: Read-only file system" \
    "$image" -v "$volume:/var/lib/facetwin:ro"
  in_volume "$image" "$volume" older
  starts_in_time "volume of an older image" run_service "$name" "$volume" "$image" \
    -p "127.0.0.1:$PORT:8000"
  verify collins astronaut.jpg match
  verify collins grace_hopper.jpg no_match
  in_volume "$image" "$volume" is-current
  stops_in_time "$name"
  engine rm "$name" >/dev/null

  in_volume "$image" "$volume" newer
  ends_with "volume of a newer image" "made by another version of Facetwin" "$image" \
    -v "$volume:/var/lib/facetwin"
  engine volume rm "$volume" >/dev/null
  for user in 10001 12345; do check_separate "$image" "$name" "$user"; done
  check_backup "$image" "$name"
  check_full "$image" "$name"
  starts=()
}

# check_separate IMAGE CONTAINER USER: a new volume for each of the folders, none for all.
check_separate() {
  local folder found
  local -a options=()
  for folder in application_data data model; do
    options+=(-v "facetwin-ci-$folder:/var/lib/facetwin/$folder")
  done
  engine run -d --name "$2" "${LOCKED[@]}" --user "$3" "${options[@]}" -p "127.0.0.1:$PORT:8000" \
    -v "$WORK/secrets:/run/secrets:ro" -e FACETWIN_SECRETS_DIR=/run/secrets "$1" >/dev/null
  starts_in_time "volumes of their own, user $3" true
  enroll collins astronaut.jpg
  verify collins astronaut.jpg match
  found=$(engine exec "$2" find /var/lib/facetwin -mindepth 2 "(" ! -user "$3" -o -perm /o+w ")")
  [[ -z $found ]] || fail "files of others, or that others can write: $found"
  stops_in_time "$2"
  engine rm "$2" >/dev/null
  engine volume rm facetwin-ci-application_data facetwin-ci-data facetwin-ci-model >/dev/null
}

# check_backup IMAGE CONTAINER: by the commands of docs/operations.md, into another volume.
check_backup() {
  local volume=facetwin-ci-$RANDOM copy=facetwin-ci-copy-$RANDOM
  starts_in_time "volume that is backed up" run_service "$2" "$volume" "$1" \
    -p "127.0.0.1:$PORT:8000"
  enroll collins astronaut.jpg
  stops_in_time "$2"
  engine rm "$2" >/dev/null
  in_tar "$1" -v "$volume:/volume:ro" -- -C /volume -czf /backup/facetwin.tgz .
  in_tar "$1" -v "$copy:/volume" -- -C /volume -xzpf /backup/facetwin.tgz
  starts_in_time "restored volume" run_service "$2" "$copy" "$1" -p "127.0.0.1:$PORT:8000"
  verify collins astronaut.jpg match
  stops_in_time "$2"
  engine rm "$2" >/dev/null
  engine volume rm "$volume" "$copy" >/dev/null
}

# in_tar IMAGE [OPTION...] -- ARGUMENT...
in_tar() {
  local image=$1
  local -a options=()
  shift
  while [[ $1 != -- ]]; do options+=("$1") && shift; done
  shift
  engine run --rm --network none --user 0 -v "$WORK/backup:/backup" "${options[@]}" \
    --entrypoint tar "$image" "$@"
}

# check_full IMAGE CONTAINER: the disk fills up while the service runs. It goes on verifying, says
# why it can't enroll, and starts again.
check_full() {
  local folder=$WORK/small answer
  mkdir -p "$folder"
  mount -t tmpfs -o size=24m,mode=0777 facetwin-ci "$folder"
  starts_in_time "start on a small disk" run_service "$2" "$folder" "$1" -p "127.0.0.1:$PORT:8000"
  enroll collins astronaut.jpg
  cat /dev/zero >"$folder/filled" 2>/dev/null || true
  answer=$(curl -sS -m 60 -H "Authorization: Bearer $KEY" "$URL/enroll" -F subject=hopper \
    -F "files=@$PORTRAITS/grace_hopper.jpg")
  [[ $answer = *'"status":503'*'the disk is full'* ]] || fail "on a full disk: $answer"
  verify collins astronaut.jpg match
  stops_in_time "$2"
  starts_in_time "restart on a full disk" engine start "$2"
  verify collins astronaut.jpg match
  stops_in_time "$2"
  engine rm "$2" >/dev/null
  umount "$folder"
  echo "a disk that fills up: enrolling is refused with the reason, verifying goes on"
}

# ends_with WHAT MESSAGE IMAGE [OPTION...]: a start that must end soon, with an error that says why.
ends_with() {
  local what=$1 message=$2 image=$3 output status=0
  shift 3
  output=$(timeout 60 podman --log-level=fatal run --rm --network none "${LOCKED[@]}" -e FACETWIN_ALLOW_ANONYMOUS=1 \
    "$@" "$image" 2>&1) || status=$?
  if ((status != 3)) || ! grep -q "$message" <<<"$output"; then
    fail "$what: exit code $status: $output"
  fi
  if grep -q Traceback <<<"$output"; then fail "$what: not a clear error: $output"; fi
  echo "$what: exit code $status, \"$(grep -o "$message.*" <<<"$output" | head -1)\""
}

# in_volume IMAGE VOLUME ACTION: what volume.py does, by the Python of the image.
in_volume() {
  engine run --rm --network none "${LOCKED[@]}" -v "$2:/var/lib/facetwin" \
    -v "$PWD/docker/ci/volume.py:/run/volume.py:ro" --entrypoint python "$1" /run/volume.py "$3"
}
