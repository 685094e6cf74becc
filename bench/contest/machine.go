package contest

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU        string `json:"cpu"`
	CPUs       int    `json:"cpus"`
	Virtual    bool   `json:"virtual"` // a guest of a hypervisor
	Kernel     string `json:"kernel"`
	Governor   string `json:"governor,omitempty"` // of the CPU clock, where there is one
	MemoryMiB  int64  `json:"memory_mib"`
	Go         string `json:"go"`
	Commit     string `json:"commit,omitempty"` // of this program
	ProxyCPUs  string `json:"proxy_cpus"`
	LoadCPUs   string `json:"load_cpus"`
	SharedCore bool   `json:"shared_core"` // one CPU for both: the figures mean little
}

// describe gathers the facts; what the machine does not tell is left empty.
func describe(proxyCPU int, loadCPUs []int) Machine {
	m := Machine{
		CPUs:       runtime.NumCPU(),
		Go:         runtime.Version(),
		ProxyCPUs:  cpuList([]int{proxyCPU}),
		LoadCPUs:   cpuList(loadCPUs),
		SharedCore: len(loadCPUs) == 1 && loadCPUs[0] == proxyCPU,
	}
	m.CPU, m.CPUs, m.Virtual = readCPUInfo(readText("/proc/cpuinfo"))
	m.Governor = readText(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", proxyCPU))
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		m.MemoryMiB = int64(s.Totalram) * int64(s.Unit) >> 20
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		m.Commit = commit(info.Settings)
	}
	return m
}

// readCPUInfo takes the model, the number of CPUs and the hypervisor flag from /proc/cpuinfo.
func readCPUInfo(text string) (model string, cpus int, virtual bool) {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "processor":
			cpus++
		case "model name":
			model = value
		case "flags":
			virtual = virtual || strings.Contains(" "+value+" ", " hypervisor ")
		}
	}
	return model, cpus, virtual
}

// commit is the revision that the program was built from, marked if there were changes.
func commit(settings []debug.BuildSetting) string {
	var revision, modified string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + modified
}

// readText returns a file's text; empty: it cannot be read.
func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
