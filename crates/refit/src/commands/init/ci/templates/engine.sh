# Dockerfiles that execute something need Docker Engine, in this very container: refit serves it bases on loopback.
if ! docker info >/dev/null 2>&1 && command -v dockerd-entrypoint.sh >/dev/null 2>&1; then
  unset DOCKER_HOST
  dockerd-entrypoint.sh dockerd >/var/log/dockerd.log 2>&1 &
  for _ in $(seq 30); do
    docker info >/dev/null 2>&1 && break
    sleep 1
  done
  docker info >/dev/null 2>&1 || echo "no Docker Engine here (the runner is not privileged): what executes nothing is built all the same" >&2
fi
