package contest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// allowedCPUs lists the CPUs that this process may run on.
func allowedCPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read CPU affinity: %w", err)
	}
	var cpus []int
	for cpu := 0; len(cpus) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// split gives the proxy the last CPU and the load all others. With one CPU they share it.
func split(cpus []int) (proxy int, load []int) {
	last := len(cpus) - 1
	if last == 0 {
		return cpus[0], cpus
	}
	return cpus[last], cpus[:last]
}

// cpuList is the usual form: "0,2-3".
func cpuList(cpus []int) string {
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		part := strconv.Itoa(cpus[i])
		if j > i {
			part += "-" + strconv.Itoa(cpus[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

func cpuSet(cpus []int) *unix.CPUSet {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return &set
}

// pinSelf confines every thread of this process to the CPUs, with as many threads running Go code
// at a time, and returns what undoes it.
func pinSelf(cpus []int) (undo func() error, err error) {
	before, err := allowedCPUs()
	if err != nil {
		return nil, err
	}
	if err := pinThreads(cpus); err != nil {
		return nil, errors.Join(err, pinThreads(before))
	}
	procs := runtime.GOMAXPROCS(len(cpus))
	return func() error {
		runtime.GOMAXPROCS(procs)
		return pinThreads(before)
	}, nil
}

// pinThreads goes over the threads twice: one that was made meanwhile inherits from its maker, which
// the first pass has pinned.
func pinThreads(cpus []int) error {
	set := cpuSet(cpus)
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				return fmt.Errorf("thread %q: %w", thread.Name(), err)
			}
			if err := unix.SchedSetaffinity(tid, set); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pin to CPUs %s: %w", cpuList(cpus), err)
			}
		}
	}
	return nil
}

// startPinned starts the command on the CPUs: a child inherits the affinity of the thread that
// makes it.
func startPinned(cmd *exec.Cmd, cpus []int) (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read CPU affinity: %w", err)
	}
	if err := unix.SchedSetaffinity(0, cpuSet(cpus)); err != nil {
		return fmt.Errorf("pin to CPUs %s: %w", cpuList(cpus), err)
	}
	defer func() { err = errors.Join(err, unix.SchedSetaffinity(0, &before)) }()
	return cmd.Start()
}
