package test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestEventsOverUpgrades: weir events -f goes on with the process that takes over, at once and with every event,
// while the process before still has a connection.
func TestEventsOverUpgrades(t *testing.T) {
	u := startUpgradable(t, `
state_dir: `+t.TempDir()+`
listeners: { pg: { protocol: tcp, address: "127.0.0.1:0", pool: db } }
pools: { db: { protocol: tcp, health_check: none, backends: { b1: "`+echoes(t, 1)[0].Addr().String()+`" } } }
`)
	c, err := net.Dial("tcp", u.status().Listeners[0].Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len("b1"))); err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	cmd := exec.Command(binary, "events", "-f", "--socket", u.socket)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	weigh := func(weight string) {
		t.Helper()
		if code, _, stderr := u.cli("weight", "db/b1", weight); code != 0 {
			t.Fatal(stderr)
		}
	}
	told := func(weight string) func() bool {
		return func() bool { return strings.Contains(out.String(), "override: weight "+weight+"\n") }
	}
	for weight := 2; !told("2")(); weight = 5 - weight { // until it follows
		weigh(string(rune('0' + weight)))
	}
	weigh("11") // perhaps not in the file yet
	u.upgrade(t)
	weigh("12")
	eventually(t, "the events of the second process are shown", told("12"))
	u.upgrade(t)
	weigh("13")
	eventually(t, "the events of the third process are shown", told("13"))
	for _, weight := range []string{"11", "12", "13"} {
		if n := strings.Count(out.String(), "override: weight "+weight+"\n"); n != 1 {
			t.Errorf("weight %s is told %d times, want once:\n%s", weight, n, out.String())
		}
	}
	if _, stdout, _ := u.cli("events"); !strings.Contains(stdout, "override: weight 11\n") || !strings.Contains(stdout, "override: weight 12\n") {
		t.Errorf("the third process does not know the events of those before:\n%s", stdout)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	u.end(t)
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "weir stops") {
		t.Errorf("at the end of weir: %v, %s", err, out.String())
	}
}
