// Package weir_test holds the rules that span packages: who may import whom, which dependencies
// there may be, and that every package says what it is for.
package weir_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "weir"

// mayImport lists, for each package, which others of ours its code may import. A name that ends in
// "/..." covers the packages below it. config and internal/* may be imported by all.
// A package that is not listed fails the test: add it here together with its place in the design.
var mayImport = map[string][]string{
	"config":         {},
	"internal/...":   {},
	"balancer":       {},
	"balancer/sim":   {"balancer"},
	"healthcheck":    {},
	"resolve":        {},
	"telemetry":      {"balancer"},
	"bench":          {},
	"bench/...":      {"bench", "bench/..."},
	"config/store":   {},
	"api":            {"config/store", "balancer", "healthcheck", "telemetry"},
	"cmd/weir":       {"..."},
	"proxy":          {"proxy/...", "healthcheck", "balancer", "telemetry"},
	"proxy/wire":     {},
	"proxy/handover": {},
	"proxy/message":  {},
	"proxy/admit":    {},
	"proxy/session":  {"balancer"},
	"proxy/certs":    {"proxy/wire"},
	"proxy/route":    {"balancer", "proxy/message"},
	"proxy/http1":    {"proxy/wire", "proxy/message"},
	"proxy/http2":    {"proxy/wire", "proxy/message"},
	"proxy/http3":    {"proxy/exchange", "proxy/message"},
	"proxy/exchange": append([]string{"proxy/http1", "proxy/http2", "proxy/message"}, flowImports...),
	"proxy/stream":   flowImports,
	"proxy/datagram": flowImports,
	"proxy/gateway":  flowImports,
	"test":           {},
	"test/...":       {},
}

// flowImports is what every package that carries flows may use.
var flowImports = []string{"proxy/route", "proxy/session", "proxy/admit", "proxy/certs", "proxy/wire", "balancer", "telemetry"}

// everywhere may be imported by any package. internal/lbtest is for tests alone.
var everywhere = []string{"config", "internal/..."}

// dependencies are the modules that go.mod may require, and where the code of each may be used;
// an empty list: in tests only.
var dependencies = map[string][]string{
	"github.com/HdrHistogram/hdrhistogram-go": {"bench", "bench/..."},
	"github.com/cespare/xxhash/v2":            {"balancer", "proxy/..."},
	"github.com/coder/websocket":              {},
	"github.com/dlclark/regexp2":              {"config", "healthcheck"},
	"github.com/goccy/go-yaml":                {"config", "balancer/sim", "cmd/weir"},
	"github.com/google/jsonschema-go":         {"config"},
	"github.com/pires/go-proxyproto":          {},
	"github.com/prometheus/client_golang":     {"telemetry"},
	"github.com/prometheus/client_model":      {"telemetry"},
	"github.com/prometheus/common":            {"telemetry"},
	"github.com/quic-go/quic-go":              {},
	"github.com/rogpeppe/go-internal":         {},
	"github.com/spf13/cobra":                  {"cmd/weir"},
	"github.com/spf13/pflag":                  {"cmd/weir"},
	"github.com/valyala/fasthttp":             {"healthcheck", "bench", "bench/..."},
	"go.uber.org/goleak":                      {"internal/lbtest"},
	"go.uber.org/zap":                         {"telemetry", "proxy", "proxy/...", "api", "cmd/weir", "healthcheck"},
	"golang.org/x/sys":                        {"proxy", "proxy/...", "bench", "bench/...", "telemetry", "api", "cmd/weir"},
	"pgregory.net/rapid":                      {},
}

// pure packages decide without touching the world: no sockets, files, logs or processes.
var pure = map[string][]string{
	"balancer":     {"net", "net/http", "os", "log", "log/slog", "syscall", "os/exec"},
	"balancer/sim": {"net", "net/http", "os", "log", "log/slog", "syscall", "os/exec"},
}

// source is what the rules look at in one Go file.
type source struct {
	file    string // slash-separated, from the root
	pkg     string // folder, "." for the root
	name    string // package clause
	test    bool
	imports []string
	doc     string
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.pkg == "." {
			continue
		}
		allowed, known := rule(s.pkg)
		if !known {
			t.Errorf("%s: package %s has no import rule in arch_test.go", s.file, s.pkg)
			continue
		}
		for _, imported := range s.imports {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if !ok || s.test {
				continue
			}
			if ours == "internal/lbtest" {
				t.Errorf("%s imports %s, which is for tests", s.file, imported)
			}
			if !matches(ours, allowed) && !matches(ours, everywhere) {
				t.Errorf("%s imports %s; %s may import %v", s.file, imported, s.pkg, allowed)
			}
			if s.pkg == "config" || strings.HasPrefix(s.pkg, "internal/") {
				t.Errorf("%s imports %s; %s may import none of ours", s.file, imported, s.pkg)
			}
		}
	}
}

func TestPurePackages(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imported := range s.imports {
			if slices.Contains(pure[s.pkg], imported) {
				t.Errorf("%s imports %s; %s is pure", s.file, imported, s.pkg)
			}
		}
	}
}

func TestDependencies(t *testing.T) {
	for _, required := range directRequirements(t) {
		if _, ok := dependencies[required]; !ok {
			t.Errorf("go.mod requires %s, which arch_test.go does not allow", required)
		}
	}
	modules := slices.Collect(maps.Keys(dependencies))
	for _, s := range sources(t) {
		for _, imported := range s.imports {
			if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
				continue
			}
			i := slices.IndexFunc(modules, func(m string) bool {
				return imported == m || strings.HasPrefix(imported, m+"/")
			})
			if i < 0 {
				t.Errorf("%s imports %s, which arch_test.go does not allow", s.file, imported)
				continue
			}
			if !s.test && s.pkg != "internal/lbtest" && !matches(s.pkg, dependencies[modules[i]]) {
				t.Errorf("%s imports %s, allowed only in %v and in tests", s.file, imported, dependencies[modules[i]])
			}
		}
	}
}

// TestPackageDocs wants a doc.go in every package, whose comment has 10 to 60 lines. Commands other
// than weir itself may say it in their main file, in fewer words.
func TestPackageDocs(t *testing.T) {
	const least, most = 10, 60
	docs := map[string]source{}
	commands := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || s.pkg == "." {
			continue
		}
		if _, ok := docs[s.pkg]; !ok {
			docs[s.pkg] = source{}
		}
		commands[s.pkg] = s.name == "main" && s.pkg != "cmd/weir"
		if path.Base(s.file) == "doc.go" || (commands[s.pkg] && s.doc != "") {
			docs[s.pkg] = s
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(docs)) {
		s := docs[pkg]
		switch lines := strings.Count(s.doc, "\n"); {
		case s.file == "":
			t.Errorf("%s has no doc.go", pkg)
		case commands[pkg] && lines == 0:
			t.Errorf("%s: the command has no package comment", pkg)
		case !commands[pkg] && (lines < least || lines > most):
			t.Errorf("%s: the package comment has %d lines, want %d to %d", s.file, lines, least, most)
		}
	}
}

// rule finds the import rule of a package: its own, else that of the nearest "/..." above it.
func rule(pkg string) (allowed []string, known bool) {
	if allowed, known = mayImport[pkg]; known {
		return allowed, true
	}
	for dir := path.Dir(pkg); dir != "."; dir = path.Dir(dir) {
		if allowed, known = mayImport[dir+"/..."]; known {
			return allowed, true
		}
	}
	return nil, false
}

// matches reports whether pkg is one of patterns.
func matches(pkg string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, tree := strings.CutSuffix(p, "...")
		return p == pkg || (tree && strings.HasPrefix(pkg, prefix))
	})
}

// directRequirements reads the modules that go.mod requires without "// indirect".
func directRequirements(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	block := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "require (":
			block = true
			continue
		case line == ")":
			block = false
			continue
		case strings.HasPrefix(line, "require "):
			line = strings.TrimPrefix(line, "require ")
		case !block:
			continue
		}
		if fields := strings.Fields(line); len(fields) >= 2 && !strings.Contains(line, "// indirect") {
			found = append(found, fields[0])
		}
	}
	if len(found) == 0 {
		t.Fatal("found no requirement in go.mod")
	}
	return found
}

// sources parses the head of every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || skipped(name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := parse(name)
		found = append(found, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("found only %d Go files", len(found))
	}
	return found
}

// skipped reports whether a folder is outside the module: data, output, or a module of its own.
func skipped(dir string) bool {
	if slices.Contains([]string{"testdata", "bin", "dist", "vendor"}, filepath.Base(dir)) {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// parse reads the package clause, comments before it and imports of one file.
func parse(name string) (source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	s := source{
		file: filepath.ToSlash(name),
		pkg:  filepath.ToSlash(filepath.Dir(name)),
		name: file.Name.Name,
		test: strings.HasSuffix(name, "_test.go"),
		doc:  comment(file),
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, imported)
	}
	return s, nil
}

// comment is the text of a file's package comment, each line ended by a newline.
func comment(file *ast.File) string {
	if file.Doc == nil {
		return ""
	}
	return file.Doc.Text()
}
