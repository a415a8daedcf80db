# shellcheck shell=bash disable=SC2034 # variables are for whoever sources this
# The compose files as they are shipped: the service alone, then behind nginx. Sourced by ci.sh.
HTTP_PORT=${HTTP_PORT:-18180}
HTTPS_PORT=${HTTPS_PORT:-18543}
COMPOSED=facetwin_facetwin_1

check_compose() {
  local url=$URL
  if ! command -v podman-compose >/dev/null; then
    not_checked "the compose files were not tried"
    return
  fi
  lay_out_compose
  export FACETWIN_IMAGE=$1 NGINX_IMAGE=localhost/facetwin-ci-nginx:bookworm
  export FACETWIN_PUBLISHED_PORT=$PORT FACETWIN_HTTP_PORT=$HTTP_PORT FACETWIN_HTTPS_PORT=$HTTPS_PORT
  engine image exists "$NGINX_IMAGE" ||
    debian_image "$NGINX_IMAGE" nginx-light 'CMD ["nginx", "-g", "daemon off;"]' ||
    fail "no image of nginx: ${why_not:-}"

  compose up -d --no-build
  healthy_within 60 "$COMPOSED"
  expect 401 "$URL/subjects"
  enroll collins astronaut.jpg
  verify collins astronaut.jpg match
  compose down
  # The volume's name is that of docs/operations.md, Backup.
  in_tar "$1" -v facetwin_facetwin:/volume:ro -- -C /volume -czf /backup/compose.tgz .
  tar -tzf "$WORK/backup/compose.tgz" ./application_data/facetwin.sqlite >/dev/null ||
    fail "the backup of compose's volume lacks the database"
  echo "compose.yaml: works, keeps its keys in a file, and is backed up by its volume's name"

  files+=(-f "$WORK/compose/docker/compose.behind-nginx.yaml")
  # podman-compose would wait for a healthcheck that nobody runs here.
  compose up -d --no-build facetwin
  healthy_within 60 "$COMPOSED"
  compose up -d --no-build nginx
  URL=https://localhost:$HTTPS_PORT
  export CURL_CA_BUNDLE=$WORK/compose/docker/tls/tls.crt
  check_nginx
  unset CURL_CA_BUNDLE
  URL=$url
  compose down -v
}

# What nginx is there for; the volume is the one that the service alone began.
check_nginx() {
  local answer id
  curl -s -o /dev/null --retry 20 --retry-delay 1 --retry-all-errors "$URL/healthz" ||
    fail "nginx does not serve: $(engine logs facetwin_nginx_1 2>&1 | tail -5)"
  if curl -sS -o /dev/null -m 5 "http://127.0.0.1:$PORT/healthz" 2>/dev/null; then
    fail "the service is published beside nginx"
  fi
  verify collins astronaut.jpg match
  enroll hopper grace_hopper.jpg
  verify hopper grace_hopper.jpg match
  expect 308 "http://localhost:$HTTP_PORT/verify"
  expect 404 "$URL/metrics"
  expect 401 "$URL/subjects"
  # What nginx lets through is the service's to refuse, by its own words; the rest is nginx's.
  head -c 90000000 /dev/zero >"$WORK/large"
  expect 401 "$URL/enroll" -F "files=@$WORK/large"
  answer=$(curl -sS -m 60 -H "Authorization: Bearer $KEY" -F "files=@$WORK/large" "$URL/enroll")
  [[ $answer = *'"code":"enrollment_rejected"'*'at most 20971520'* ]] || fail "90 MB through nginx: $answer"
  head -c 105000000 /dev/zero >"$WORK/large"
  answer=$(curl -sS -m 60 -H "Authorization: Bearer $KEY" -F "files=@$WORK/large" "$URL/enroll")
  [[ $answer = *'413 Request Entity Too Large'*nginx* ]] || fail "105 MB to nginx: $answer"
  rm "$WORK/large"
  answer=$(curl -sS -o /dev/null -D - -H 'X-Request-ID: mine' "$URL/healthz")
  id=$(sed -n 's/^x-request-id: \([0-9a-f]\{32\}\).*/\1/Ip' <<<"$answer")
  [[ -n $id ]] || fail "nginx gives no request id: $answer"
  grep -q "$id" <<<"$(engine logs "$COMPOSED" 2>&1)" || fail "the service logs another request id"
  believes_the_proxy_alone
  echo "compose.behind-nginx.yaml: TLS, upload limit, request id, redirect and forwarded addresses work"
}

# Wrong keys are counted by address. A client can't pass for many by a header of its own, and is not
# taken for the proxy: another one, the service's own container, is still answered.
believes_the_proxy_alone() {
  local number proxy status=0
  for number in {1..40}; do
    status=$(curl -sS -o /dev/null -w '%{http_code}' -m 60 -H 'Authorization: Bearer wrong' \
      -H "X-Forwarded-For: 203.0.113.$number" "$URL/subjects")
  done
  [[ $status = 429 ]] || fail "40 wrong keys of one client, each under another address: $status"
  proxy=$(sed -n 's/^ *FACETWIN_TRUSTED_PROXIES: //p' docker/compose.behind-nginx.yaml)
  status=$(engine exec "$COMPOSED" python -I -c "$ASK_NGINX" "$proxy")
  [[ $status = 401 ]] || fail "a wrong key of another client: $status instead of 401"
}

ASK_NGINX='
import http.client, ssl, sys
nginx = http.client.HTTPSConnection(sys.argv[1], 8443, context=ssl._create_unverified_context())
nginx.request("GET", "/subjects")
print(nginx.getresponse().status)
'

# A folder like a checkout, with a key and a certificate in it.
lay_out_compose() {
  local folder=$WORK/compose
  rm -rf "$folder"
  mkdir -p "$folder/docker/tls" "$folder/secrets"
  cp docker/compose*.yaml docker/nginx.conf "$folder/docker"
  printf 'admin:%s\n' "$KEY" >"$folder/secrets/facetwin_api_keys"
  chmod 0400 "$folder/secrets/facetwin_api_keys"
  chown 10001 "$folder/secrets/facetwin_api_keys"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout "$folder/docker/tls/tls.key" \
    -out "$folder/docker/tls/tls.crt" 2>/dev/null
  files=(-f "$folder/docker/compose.yaml")
}

files=()

compose() {
  podman-compose --podman-args=--log-level=fatal "${files[@]}" "$@" >"$WORK/compose.log" 2>&1 ||
    fail "podman-compose $*: $(tail -5 "$WORK/compose.log")"
}

# expect STATUS URL [OPTION...]
expect() {
  local wanted=$1 url=$2 status
  shift 2
  status=$(curl -sS -o /dev/null -w '%{http_code}' -m 60 "$@" "$url") || true
  [[ $status = "$wanted" ]] || fail "$url: $status instead of $wanted"
}
