package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"weir/api"
)

func TestReadEvents(t *testing.T) {
	const stream = "retry: 2000\n\n: alive\n\nid: 5\nevent: event\ndata: {\"a\":\ndata: 1}\n\nevent: gap\ndata:{}\n\nevent: cut\ndata: x\n"
	var got []string
	lines := 0
	err := readEvents(strings.NewReader(stream), func() { lines++ }, func(kind string, data []byte) error {
		got = append(got, fmt.Sprintf("%s %s", kind, data))
		return nil
	})
	want := []string{"event {\"a\":\n1}", "gap {}"} // the last one is not whole
	if err != nil || strings.Join(got, "|") != strings.Join(want, "|") || lines != strings.Count(stream, "\n") {
		t.Errorf("got %q, %d lines, %v", got, lines, err)
	}
	fault := errors.New("no more")
	err = readEvents(strings.NewReader(stream), func() {}, func(string, []byte) error { return fault })
	if !errors.Is(err, fault) {
		t.Errorf("got %v, want %v", err, fault)
	}
}

func TestPrintEvents(t *testing.T) {
	e := api.Event{ID: 3, Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Kind: "health", Pool: "web", Backend: "b1", Message: "web/b1 down:\nforged line"}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	print := eventPrinter(&out, formTable)
	if err := errors.Join(print("event", data), print("gap", []byte("{}"))); err != nil {
		t.Fatal(err)
	}
	want := "2026-01-02T03:04:05.006Z  health           web/b1               web/b1 down: forged line\n… events are missing here"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if err := print("end", []byte(`{"reason":"stopping"}`)); !errors.Is(err, errEnded) {
		t.Errorf("the end: got %v", err)
	}
	if err := print("end", []byte(`{"reason":"slow"}`)); err == nil || errors.Is(err, errEnded) {
		t.Errorf("cut off: got %v", err)
	}
	out.Reset()
	if err := eventPrinter(&out, formJSON)("event", data); err != nil || out.String() != string(data)+"\n" {
		t.Errorf("json: got %q, %v", out.String(), err)
	}
}

func TestValueText(t *testing.T) {
	for raw, want := range map[string]string{`"ready"`: "ready", "5": "5", "{\n  \"a\": 1\n}": `{ "a": 1 }`, "": ""} {
		if got := valueText(json.RawMessage(raw)); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
	if got := valueText(json.RawMessage(`"` + strings.Repeat("ä", 500) + `"`)); len([]rune(got)) != 101 {
		t.Errorf("got %d characters", len([]rune(got)))
	}
}

// What a daemon has from others writes on no terminal.
func TestTextFromOutsideIsPlain(t *testing.T) {
	const strange = "a\x1b[2J\x1b]0;x\x07 \u009b31m\tb"
	var out strings.Builder
	if err := writeTable(&out, []string{"A"}, [][]string{{strange}}); err != nil {
		t.Fatal(err)
	}
	out.WriteString(eventLine(api.Event{Kind: "health", Pool: "p" + strange, Message: strange}))
	if text := strings.ReplaceAll(out.String(), "\n", ""); strings.ContainsFunc(text, unicode.IsControl) {
		t.Errorf("got %q", text)
	}
}
