package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// stateListen is TCP_LISTEN in /proc/net/tcp (proc(5)).
const stateListen = "0A"

// holder is a process that has a socket. Pid 0: not known.
type holder struct {
	pid  int
	name string // may be empty
}

// String is "pid 812 (nginx)".
func (h holder) String() string {
	if h.name == "" {
		return fmt.Sprintf("pid %d", h.pid)
	}
	return fmt.Sprintf("pid %d (%s)", h.pid, h.name)
}

// owner finds the process that listens on a TCP address. It is not known if that cannot be found out, for
// example because the process is another user's.
func owner(address net.Addr) holder {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return holder{}
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // a kernel without IPv6 has one table only
		}
		for _, inode := range listening(string(text), tcp.AddrPort()) {
			if pid := holds("socket:[" + inode + "]"); pid != 0 {
				return holder{pid, name(pid)}
			}
		}
	}
	return holder{}
}

// listening finds the inodes of the sockets in a table of /proc/net that listen where address is.
func listening(table string, address netip.AddrPort) (inodes []string) {
	for line := range strings.Lines(table) {
		// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != stateListen {
			continue
		}
		local, ok := parseLocal(fields[1])
		if ok && local.Port() == address.Port() && overlap(local.Addr(), address.Addr().Unmap()) {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// parseLocal reads ADDRESS:PORT in hexadecimal, the address as numbers of 32 bits whose bytes, in the order of
// this machine, are those of the address.
func parseLocal(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(raw)
	number, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), ok && err == nil
}

// overlap reports whether sockets on a and b can be in each other's way. The zero Addr is every address.
func overlap(a, b netip.Addr) bool {
	everything := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	return a.WithZone("") == b.WithZone("") || everything(a) || everything(b)
}

// holds finds a process that has a descriptor of the socket; 0: none that we may look into.
func holds(socket string) (pid int) {
	// The pattern is well formed, which is all that Glob's error is about.
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, d := range descriptors {
		// Descriptors come and go while we look, and those of other users cannot be read.
		if target, err := os.Readlink(d); err == nil && target == socket {
			pid, err := strconv.Atoi(strings.Split(d, "/")[2])
			if err == nil {
				return pid
			}
		}
	}
	return 0
}

// name is the command of a process.
func name(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	// A process can call itself anything; keep it from writing on our terminal.
	return strings.Map(printable, string(bytes.TrimSpace(text)))
}

func printable(r rune) rune {
	if strconv.IsPrint(r) {
		return r
	}
	return '?'
}
