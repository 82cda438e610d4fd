# Sourced by scripts that need a registry: start_registry DIR starts Debian's docker-registry over DIR on a free port of
# loopback and sets REGISTRY (host:port) and REGISTRY_PID; stop_registry ends it.
start_registry() {
  local directory=$1 port
  command -v docker-registry >/dev/null || { echo "docker-registry is not installed" >&2; return 5; }
  mkdir -p "$directory/store"
  port=$(node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})')
  cat > "$directory/config.yml" <<YAML
version: 0.1
log: { accesslog: { disabled: true }, level: error }
storage: { filesystem: { rootdirectory: $directory/store }, delete: { enabled: true } }
http: { addr: 127.0.0.1:$port }
YAML
  docker-registry serve "$directory/config.yml" >"$directory/log" 2>&1 &
  REGISTRY_PID=$!
  REGISTRY=127.0.0.1:$port
  for _ in $(seq 100); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  echo "docker-registry did not start; see $directory/log" >&2
  return 5
}

stop_registry() {
  [ -z "${REGISTRY_PID:-}" ] || { kill "$REGISTRY_PID" 2>/dev/null; wait "$REGISTRY_PID" 2>/dev/null || true; }
  REGISTRY_PID=
}
