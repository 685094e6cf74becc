package main

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"weir/config"
)

// softShare is the part of the budget that the garbage collector keeps below, if that can be.
const softShare = 0.9

// environment is what there is to live within if the configuration does not say.
type environment struct {
	soft   int64  // GOMEMLIMIT; math.MaxInt64: not set
	cgroup uint64 // 0: no limit
}

// readEnvironment looks once, before anything has been set.
var readEnvironment = sync.OnceValue(func() environment {
	return environment{debug.SetMemoryLimit(-1), cgroupLimit(os.DirFS("/"))}
})

// limitMemory puts the budget of c in force for the garbage collector and returns it; 0: there is none.
func limitMemory(c *config.Config) (budget uint64) {
	budget, soft := readEnvironment().budget(c.Process.Memory)
	debug.SetMemoryLimit(soft)
	return budget
}

// budget is the memory to live within, 0 for no limit, and the limit for the garbage collector. A limit of a cgroup
// is for the buffers of the kernel too.
func (e environment) budget(configured int64) (budget uint64, soft int64) {
	switch {
	case configured > 0:
		budget = uint64(configured)
	case e.soft != math.MaxInt64:
		return uint64(float64(e.soft) / softShare), e.soft
	case e.cgroup != 0:
		budget = uint64(float64(e.cgroup) * 0.9)
	default:
		return 0, e.soft
	}
	return budget, min(int64(float64(budget)*softShare), e.soft)
}

// cgroupLimit is the least limit of memory of the cgroups that this process is in (cgroups(7)), in bytes; 0:
// none, or none that can be read.
func cgroupLimit(root fs.FS) uint64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := uint64(0)
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(fields) != 3 {
			continue
		}
		mount, file := "", ""
		switch {
		case fields[0] == "0" && fields[1] == "":
			mount, file = "sys/fs/cgroup", "memory.max"
		case strings.Contains(","+fields[1]+",", ",memory,"):
			mount, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// A container sees its own cgroup as the root, whatever path it is told.
		for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
			if limit := readLimit(root, path.Join(mount, at, file)); limit != 0 && (least == 0 || limit < least) {
				least = limit
			}
			if at == "/" {
				break
			}
		}
	}
	return least
}

// readLimit reads a limit; 0: there is none. Version 1 has a number near 2⁶³ for that.
func readLimit(root fs.FS, name string) uint64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || limit >= 1<<60 {
		return 0 // "max"
	}
	return limit
}
