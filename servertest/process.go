package servertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"latchkey/client"
	"latchkey/server"
)

// A Process is a service in a process of its own, which can be killed.
type Process struct {
	server.Info
	*client.Client
	cmd *exec.Cmd
	log bytes.Buffer
	// Ready is how long the start took as seen from outside.
	Ready time.Duration
}

// binaryDir is where Binary built; empty if it did not.
var binaryDir string

// Binary builds the program once for all tests of a package and returns its path.
var Binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "latchkey-binary")
	if err != nil {
		return "", err
	}
	binaryDir = dir
	path := filepath.Join(dir, "latchkey")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "latchkey/cmd/latchkey")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

// RemoveBinary removes what Binary built; a package that uses it calls this after its
// tests.
func RemoveBinary() {
	if binaryDir != "" {
		os.RemoveAll(binaryDir)
	}
}

// Launch starts the program on a data directory and waits until it is ready. It is
// killed when the test ends.
func Launch(t testing.TB, dir string, args ...string) *Process {
	t.Helper()
	binary, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	readyFile := filepath.Join(t.TempDir(), "ready.json")
	p := &Process{cmd: exec.Command(binary, append([]string{
		"up", "--data", dir, "--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0", "--portal", "127.0.0.1:0",
		"--check-interval", "1s", "--ready-file", readyFile,
	}, args...)...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	for {
		b, err := os.ReadFile(readyFile)
		if err == nil {
			if err := json.Unmarshal(b, &p.Info); err != nil {
				t.Fatal(err)
			}
			break
		}
		if time.Since(began) > 30*time.Second {
			p.Kill()
			t.Fatalf("the service was not ready after 30 s:\n%s", p.log.Bytes())
		}
		time.Sleep(time.Millisecond)
	}
	p.Ready = time.Since(began)
	if p.Client, err = Connect(p.Info); err != nil {
		t.Fatal(err)
	}
	return p
}

// Kill ends the process at once, as a pulled plug would.
func (p *Process) Kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	// It may be gone already; Wait tells nothing that matters of a killed process.
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if p.Client != nil {
		p.Client.Close()
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }
