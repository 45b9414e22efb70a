package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"latchkey": main})
}

// TestScripts runs testdata/*.txtar, the command line as one types it. Besides
// testscript's own commands there are
//
//	ready FILE      waits until a service has written its ready file, and sets
//	                LISTEN, PROXY and PORTAL to its addresses, PID to its process
//	mode FILE MODE  checks a file's permissions
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LATCHKEY_DATA", filepath.Join(e.WorkDir, "data"))
			e.Setenv("LATCHKEY_LISTEN", "127.0.0.1:0")
			e.Setenv("LATCHKEY_PROXY", "127.0.0.1:0")
			e.Setenv("LATCHKEY_PORTAL", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": scriptReady,
			"mode":  scriptMode,
		},
	})
}

func scriptReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready FILE")
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil {
			var info struct {
				PID                   int
				Listen, Proxy, Portal string
			}
			ts.Check(json.Unmarshal(b, &info))
			ts.Setenv("PID", strconv.Itoa(info.PID))
			ts.Setenv("LISTEN", info.Listen)
			ts.Setenv("PROXY", info.Proxy)
			ts.Setenv("PORTAL", info.Portal)
			return
		}
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(deadline) {
			ts.Fatalf("waiting for the service: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func scriptMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode FILE MODE")
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

func TestShellsQuoteWhatTheyMust(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"/usr/bin/latchkey": "/usr/bin/latchkey", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~/x": "'~/x'",
	} {
		if got := quoteSh(word); got != want {
			t.Errorf("quoteSh(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	t.Parallel()
	for _, c := range commands {
		var out strings.Builder
		c.printHelp(&out)
		if c.short == "" || !strings.HasPrefix(out.String(), "latchkey "+c.name) {
			t.Errorf("help of %s is %q", c.name, out.String())
		}
	}
}
