package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// stateListen is TCP_LISTEN in /proc/net/tcp (proc(5)).
const stateListen = "0A"

// owner names the process that listens on a TCP address, as "pid 812 (nginx)"; empty if that cannot be
// found out, for example because the process is another user's.
func owner(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return ""
	}
	var inodes []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // a kernel without IPv6 has one table only
		}
		inodes = append(inodes, listening(string(text), tcp.Port)...)
	}
	for _, inode := range inodes {
		if pid := holder("socket:[" + inode + "]"); pid != "" {
			return "pid " + pid + name(pid)
		}
	}
	return ""
}

// listening finds the inodes of the sockets that listen on port in a table of /proc/net.
func listening(table string, port int) (inodes []string) {
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
		fields := strings.Fields(line)
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == stateListen {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// holder finds a process that has a descriptor of the socket.
func holder(socket string) (pid string) {
	// The pattern is well formed, which is all that Glob's error is about.
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, d := range descriptors {
		// Descriptors come and go while we look, and those of other users cannot be read.
		if target, err := os.Readlink(d); err == nil && target == socket {
			return strings.Split(d, "/")[2]
		}
	}
	return ""
}

// name is the command of a process, in brackets.
func name(pid string) string {
	text, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return ""
	}
	// A process can call itself anything; keep it from writing on our terminal.
	return " (" + strings.Map(printable, strings.TrimSpace(string(text))) + ")"
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return '?'
}
