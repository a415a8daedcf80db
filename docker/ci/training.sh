# shellcheck shell=bash disable=SC2034 # variables are for whoever sources this
# A tiny training job in the image that trains: interrupted by a stop, resumed, run to its end, all on
# a network that leads nowhere. Sourced by ci.sh. PHOTOS=DIR with anchor/, positive/ and negative/ takes other photos than those
# that photos.py makes of the repository's two portraits.

# What a job needs that serving doesn't: memory for TensorFlow, and a place for scratch files.
TRAINING_LIMITS=(--memory 4g --pids-limit 512 --tmpfs "/tmp:rw,noexec,nosuid,size=256m,mode=1777")
JOB_SECONDS=${JOB_SECONDS:-900}

check_training() {
  local image=$1 name=facetwin-ci volume=facetwin-ci-$RANDOM job url=$URL
  engine network create --internal "$INSIDE" >/dev/null
  run_service "$name" "$volume" "$image" "${TRAINING_LIMITS[@]}" --network "$INSIDE"
  starts_in_time "service that is to train" true
  has_no_way_out "$name"
  URL=$(url_inside "$name")
  upload_photos "$image"
  job=$(submit_job)
  [[ -n $job ]] || fail "the job was not accepted"
  wait_for "$job" stage train
  stops_in_time "$name"
  starts_in_time "restart in the middle of a job" engine start "$name"
  starts=()
  URL=$(url_inside "$name")
  wait_for "$job" state interrupted
  call "/train/$job/resume" -X POST >/dev/null
  wait_for "$job" state succeeded
  grep -q '"container-ci"' <<<"$(call /models)" || fail "the model of the job is not listed"
  enroll collins astronaut.jpg
  verify collins astronaut.jpg match
  URL=$url
  stops_in_time "$name"
  engine rm "$name" >/dev/null
  engine volume rm "$volume" >/dev/null
  engine network rm "$INSIDE" >/dev/null
}

upload_photos() {
  local photos=${PHOTOS:-$WORK/photos} role file
  local -a fields
  if [[ -z ${PHOTOS:-} ]]; then
    rm -rf "$photos"
    engine run --rm --network none --user "$(id -u)" -v "$PWD:/checkout:ro" -v "$WORK:/out" \
      -e PYTHONPATH=/opt/facetwin/application:/checkout --entrypoint python "$1" \
      /checkout/docker/ci/photos.py /out/photos
  fi
  for role in anchor positive negative; do
    fields=()
    for file in "$photos/$role"/*; do fields+=(-F "files=@$file"); done
    call "/data/$role" "${fields[@]}" >/dev/null
    echo "$role: $((${#fields[@]} / 2)) photos uploaded"
  done
}

submit_job() {
  local body='{"preset": "finetune", "epochs": 1, "activate": "never", "version": "container-ci"}'
  call /train -X POST -H 'Content-Type: application/json' -d "${JOB:-$body}" |
    sed -n 's/.*"job_id":"\([^"]*\)".*/\1/p'
}

# wait_for JOB FIELD VALUE: e.g. `state succeeded`.
wait_for() {
  local begin answer
  begin=$(milliseconds)
  while true; do
    answer=$(call "/train/$1")
    [[ $(field "$2" "$answer") != "$3" ]] || break
    case $(field state "$answer") in
      queued | running) ;;
      *) fail "the job came to its end before its $2 was $3: $answer" ;;
    esac
    (($(milliseconds) - begin < JOB_SECONDS * 1000)) || fail "the job's $2 is not $3 yet: $answer"
    sleep 0.2
  done
  echo "job: $2 $3 after $((($(milliseconds) - begin) / 1000)) s"
}

# field NAME JSON: the first text of this name.
field() { grep -o "\"$1\":\"[a-z_]*\"" <<<"$2" | head -1 | cut -d '"' -f 4; }
