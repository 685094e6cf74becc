package contest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// userHz is the unit of times in /proc: 100 to the second on every Linux, whatever its HZ.
const userHz = 100

const tick = time.Second / userHz

// usage is what the processes of a contestant have used since they were started.
type usage struct {
	cpu    time.Duration // user and system, to the nanosecond
	user   time.Duration // to the tick of 10 ms, like system
	system time.Duration
	rss    int64 // bytes now; pages that processes share count for each
}

// sample adds up the processes.
func sample(pids []int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return usage{}, fmt.Errorf("process %d: %w", pid, err)
		}
		s, err := parseStat(string(raw))
		if err != nil {
			return usage{}, fmt.Errorf("process %d: %w", pid, err)
		}
		cpu, err := cpuClock(pid)
		if err != nil {
			return usage{}, fmt.Errorf("process %d: CPU clock: %w", pid, err)
		}
		sum.cpu += cpu
		sum.user += s.user
		sum.system += s.system
		sum.rss += s.rss
	}
	return sum, nil
}

// cpuClock reads the CPU-time clock of a process, ended threads included: the same account as
// utime + stime in /proc/PID/stat, before it is cut to ticks. The number of the clock is that of
// clock_getcpuclockid(3).
func cpuClock(pid int) (time.Duration, error) {
	const schedClock = 2 // CPUCLOCK_SCHED, of the whole process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// processStat is what we use of /proc/PID/stat.
type processStat struct {
	pid, parent  int
	state        byte
	user, system time.Duration
	rss          int64
}

// parseStat reads a line of proc_pid_stat(5). The name, second and in brackets, may itself hold
// spaces and brackets.
func parseStat(line string) (processStat, error) {
	begin, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if begin < 0 || end < begin {
		return processStat{}, fmt.Errorf("stat %q has no name in brackets", line)
	}
	fields := strings.Fields(line[end+1:])
	const state, parent, user, system, rss, least = 0, 1, 11, 12, 21, 22
	if len(fields) < least || len(fields[state]) != 1 {
		return processStat{}, fmt.Errorf("stat %q has %d fields after the name, want %d", line, len(fields), least)
	}
	var numbers [5]int64
	for i, text := range []string{strings.TrimSpace(line[:begin]), fields[parent], fields[user], fields[system], fields[rss]} {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return processStat{}, fmt.Errorf("stat %q: %q is not a count", line, text)
		}
		numbers[i] = n
	}
	return processStat{
		pid:    int(numbers[0]),
		parent: int(numbers[1]),
		state:  fields[state][0],
		user:   time.Duration(numbers[2]) * tick,
		system: time.Duration(numbers[3]) * tick,
		rss:    numbers[4] * int64(os.Getpagesize()),
	}, nil
}

// tree lists a process and all that descend from it, in order.
func tree(root int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]int{}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // ended meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
		s, err := parseStat(string(raw))
		if err != nil {
			return nil, err
		}
		children[s.parent] = append(children[s.parent], s.pid)
	}
	pids := []int{root}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	slices.Sort(pids)
	return pids, nil
}

// coreTime is how long a CPU has been busy since the machine was started.
type coreTime struct {
	busy   time.Duration // with processes and interrupts
	stolen time.Duration // wanted but given to another machine by the hypervisor
}

// readCore reads the account of one CPU.
func readCore(cpu int) (coreTime, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return coreTime{}, err
	}
	return parseCore(string(raw), cpu)
}

// parseCore finds the line of a CPU in proc_stat(5): user nice system idle iowait irq softirq steal.
func parseCore(text string, cpu int) (coreTime, error) {
	name := "cpu" + strconv.Itoa(cpu)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != name {
			continue
		}
		if len(fields) < 9 {
			return coreTime{}, fmt.Errorf("/proc/stat: %q has %d fields, want 9", line, len(fields))
		}
		var t [8]time.Duration
		for i := range t {
			n, err := strconv.ParseInt(fields[i+1], 10, 64)
			if err != nil {
				return coreTime{}, fmt.Errorf("/proc/stat: %q: %w", line, err)
			}
			t[i] = time.Duration(n) * tick
		}
		return coreTime{busy: t[0] + t[1] + t[2] + t[5] + t[6], stolen: t[7]}, nil
	}
	return coreTime{}, fmt.Errorf("/proc/stat has no line %q", name)
}
