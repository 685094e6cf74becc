package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestStateFiles looks at the state directory and changes nothing in it.
func TestStateFiles(t *testing.T) {
	good := strings.Repeat("0a", 32) + "\n"
	tests := []struct {
		name, dir, key string // key: "-" for no file
		mode           os.FileMode
		keys           string
		want           string
		errors         int
	}{
		{"to be made", "new/state", "-", 0, "", "", 0},
		{"empty", ".", "-", 0, "", "", 0},
		{"with a key", ".", good, 0o600, "", "", 0},
		{"key of others", ".", good, 0o640, "", "can be read by others (mode 0640)", 0},
		{"scribble", ".", "not a key", 0o600, "", "is neither hexadecimal nor base64", 1},
		{"a file", "file", "-", 0, "", "not a directory", 1},
		{"below a file", "file/state", "-", 0, "", "not a directory", 1},
		{"not needed", "file", "-", 0, good, "", 0},
		{"off", "", "-", 0, good, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			dir := ""
			if tt.dir != "" {
				dir = filepath.Join(root, tt.dir)
			}
			if tt.key != "-" {
				if err := os.WriteFile(filepath.Join(dir, "session.key"), []byte(tt.key), tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			keys := ""
			if tt.keys != "" {
				keys = fmt.Sprintf("cookie: { keys: [%q] }", strings.TrimSpace(tt.keys))
			}
			text := fmt.Sprintf("state_dir: %q\n", dir) + webListener +
				"pools: { app: { backends: [\"10.0.0.11:8080\"], session_persistence: { type: http_cookie, " + keys + " } } }\n"
			before := listing(t, root)
			checkFiles(t, t.TempDir(), text, tt.want, tt.errors)
			if after := listing(t, root); after != before {
				t.Errorf("checking has changed %s into %s", before, after)
			}
		})
	}
}

// listing is what a folder has.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var all []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			all = append(all, fmt.Sprintf("%s %v %d", path, info.Mode(), info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, ", ")
}

func TestStateFilesWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o500); err != nil {
		t.Fatal(err)
	}
	checkFiles(t, t.TempDir(), fmt.Sprintf("state_dir: %q\n", root)+webListener+
		"pools: { app: { backends: [\"10.0.0.11:8080\"], session_persistence: http_cookie } }\n", "permission denied", 1)
}

func TestSessionKeyFile(t *testing.T) {
	const own, given = "session_persistence: http_cookie", "session_persistence: { type: http_cookie, cookie: { keys: [\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\"] } }"
	for _, tt := range []struct{ dir, persistence, want string }{
		{"state_dir: /var/lib/weir\n", own, "/var/lib/weir/session.key"},
		{"state_dir: lib\n", own, "/etc/weir/lib/session.key"},
		{"", own, ""},
		{"state_dir: /var/lib/weir\n", given, ""},
		{"state_dir: /var/lib/weir\n", "session_persistence: source_ip", ""},
	} {
		c, report := LoadBytes("/etc/weir/weir.yaml", []byte(tt.dir+webListener+"pools: { app: { backends: [\"10.0.0.11:8080\"], "+tt.persistence+" } }\n"))
		if c == nil {
			t.Fatal(report.Err())
		}
		if got := c.SessionKeyFile(); got != tt.want {
			t.Errorf("%q, %s: got %q, want %q", tt.dir, tt.persistence, got, tt.want)
		}
		ends := slices.ContainsFunc(report.Diagnostics, func(d Diagnostic) bool {
			return strings.Contains(d.Message, "a restart ends all sessions")
		})
		if want := tt.dir == "" && tt.persistence == own; ends != want {
			t.Errorf("%q, %s: a warning that a restart ends sessions: %v, want %v", tt.dir, tt.persistence, ends, want)
		}
	}
}
