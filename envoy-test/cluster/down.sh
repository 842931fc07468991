#!/usr/bin/env bash
# Stops the cluster, and removes what up.sh created: the processes, which take their mounts, interfaces and rules with them, the cgroups, the files.
. "$(dirname "$0")/common.sh"
if pid=$(holder); then
  kill -KILL "$pid"
  while [ -d "/proc/$pid" ]; do sleep 0.1; done
fi
[ -d "$RUN" ] || { echo "the cluster is not up"; exit; }
while read -r cgroup; do
  # The deepest first. A cgroup can be removed a moment after its last process has ended.
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    [ -d "$cgroup" ] || break
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
  done
  [ ! -d "$cgroup" ] || die "$cgroup cannot be removed"
done < "$RUN/cgroups"
rm -rf "$RUN"
echo "the cluster is down; $CACHE keeps its programs and images"
