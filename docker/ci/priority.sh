# shellcheck shell=bash
# Nearly all of the CPUs for what is measured, whatever else this machine does. Sourced by ci.sh.
#
# With the first version of cgroups, that is; elsewhere nothing changes, and figures are those of the
# machine as it is. Niceness would not do: it counts only within a session.
CGROUP=facetwin-ci
CPU_GROUP=/sys/fs/cgroup/cpu/$CGROUP

# with_priority COMMAND...: its containers must be under --cgroup-parent /$CGROUP.
with_priority() {
  local group
  group=/sys/fs/cgroup/cpu$(awk -F: '$2 ~ /(^|,)cpu(,|$)/ {print $3}' /proc/self/cgroup)
  if ! { mkdir -p "$CPU_GROUP" && echo 65536 >"$CPU_GROUP/cpu.shares" &&
    echo $$ >"$CPU_GROUP/cgroup.procs"; } 2>/dev/null; then
    "$@"
    return
  fi
  "$@"
  echo $$ >"$group/cgroup.procs"
  echo 1024 >"$CPU_GROUP/cpu.shares"
}

remove_groups() {
  find /sys/fs/cgroup/*/$CGROUP /sys/fs/cgroup/$CGROUP -depth -type d -exec rmdir {} + \
    2>/dev/null || true
}
