package test

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDrainWaitsForFormers: connections that are older than an upgrade are their process's. weir status names
// it, also after further upgrades, and weir drain --wait does not call a backend drained before it has ended.
func TestDrainWaitsForFormers(t *testing.T) {
	list := echoes(t, 2)
	u := startUpgradable(t, `
listeners: { pg: { protocol: tcp, address: "127.0.0.1:0", pool: db } }
pools: { db: { protocol: tcp, health_check: none, backends: { b1: "`+list[0].Addr().String()+`", b2: { address: "`+list[1].Addr().String()+`", backup: true } } } }
`)
	c, err := net.Dial("tcp", u.status().Listeners[0].Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len("b1"))); err != nil {
		t.Fatal(err)
	}
	if got := u.status().Former; len(got) != 0 {
		t.Errorf("before an upgrade, the status names %v", got)
	}
	u.upgrade(t)
	u.upgrade(t)
	first := u.pids[0]
	eventually(t, "the status names the process with the connection, and not the one without", func() bool {
		return slices.Equal(u.status().Former, []int{first})
	})
	line := fmt.Sprintf("the process before, pid %d, still has connections", first)
	if _, stdout, _ := u.cli("status"); !strings.Contains(stdout, line) {
		t.Errorf("weir status does not say %q:\n%s", line, stdout)
	}
	code, stdout, stderr := weir(t, "drain", "db/b1", "--wait", "--timeout", "300ms", "--socket", u.socket)
	if code != 1 || !strings.Contains(stdout, "db/b1: 0 left; "+line) || !strings.Contains(stderr, line+" after 300ms") {
		t.Errorf("while the process before has it: exit code %d, %q, %q", code, stdout, stderr)
	}
	var out lockedBuffer
	cmd := exec.Command(binary, "drain", "db/b1", "--wait", "--socket", u.socket)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "weir drain waits", func() bool { return strings.Contains(out.String(), line) })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "db/b1 is drained after") {
		t.Errorf("after the end of the connection: got %v, %q", err, out.String())
	}
	eventually(t, "the status names nobody", func() bool { return len(u.status().Former) == 0 })
}
