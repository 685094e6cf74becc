package main

import (
	"math"
	"testing"
	"testing/fstest"
)

func TestMemoryBudget(t *testing.T) {
	const none = int64(math.MaxInt64)
	tests := []struct {
		name       string
		env        environment
		configured int64
		budget     uint64
		soft       int64
	}{
		{"nothing says anything", environment{none, 0}, 0, 0, none},
		{"configured", environment{none, 5000}, 1000, 1000, 900},
		{"GOMEMLIMIT", environment{900, 5000}, 0, 1000, 900},
		{"cgroup", environment{none, 1000}, 0, 900, 810},
		{"configured beside a smaller GOMEMLIMIT", environment{500, 0}, 1000, 1000, 500},
	}
	for _, tt := range tests {
		if budget, soft := tt.env.budget(tt.configured); budget != tt.budget || soft != tt.soft {
			t.Errorf("%s: %d, %d, want %d, %d", tt.name, budget, soft, tt.budget, tt.soft)
		}
	}
}

func TestCgroupLimit(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	tests := map[string]struct {
		files fstest.MapFS
		want  uint64
	}{
		"no cgroups": {fstest.MapFS{}, 0},
		"version 2, the least of those above": {fstest.MapFS{
			"proc/self/cgroup":                                   file("0::/system.slice/weir.service\n"),
			"sys/fs/cgroup/system.slice/memory.max":              file("3000\n"),
			"sys/fs/cgroup/system.slice/weir.service/memory.max": file("max\n"),
		}, 3000},
		"version 2 in a container": {fstest.MapFS{
			"proc/self/cgroup": file("0::/../../pod\n"), "sys/fs/cgroup/memory.max": file("1048576\n"),
		}, 1048576},
		"version 1": {fstest.MapFS{
			"proc/self/cgroup":                                    file("5:cpu,cpuacct:/x\n4:memory:/docker/1\n0::/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":          file("9223372036854771712\n"),
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": file("2000\n"),
		}, 2000},
		"no limit":   {fstest.MapFS{"proc/self/cgroup": file("0::/a\n"), "sys/fs/cgroup/a/memory.max": file("max\n")}, 0},
		"ill-formed": {fstest.MapFS{"proc/self/cgroup": file("x\n0::\n"), "sys/fs/cgroup/memory.max": file("many\n")}, 0},
	}
	for name, tt := range tests {
		if got := cgroupLimit(tt.files); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
