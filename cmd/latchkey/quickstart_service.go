package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"latchkey/server"
)

// A trial is a service that runs for the quickstart in a process of its own, started
// as anybody would start it.
type trial struct {
	info server.Info
	// ready is how long it took from the start of the process.
	ready time.Duration
	// logFile is where its log goes.
	logFile string

	cmd  *exec.Cmd
	done chan struct{}
	err  error // of the process, once done is closed
}

// startTrial starts this program's own service on a data directory and waits until it
// is ready. Its log and its ready file go to scratch.
func startTrial(ctx context.Context, data, scratch string) (*trial, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	began := time.Now()
	readyFile := filepath.Join(scratch, "ready.json")
	t := &trial{logFile: filepath.Join(scratch, "service.log"), done: make(chan struct{})}
	log, err := os.OpenFile(t.logFile, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the service's log: %w", err)
	}
	defer log.Close()
	t.cmd = exec.Command(self, "up", "--data", data, "--cloud", "azure", "--ready-file", readyFile,
		"--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0", "--portal", "127.0.0.1:0")
	t.cmd.Stderr = log
	// Ctrl-C is for us to hear: the service must not go before we have cleaned up.
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the service: %w", err)
	}
	go func() {
		t.err = t.cmd.Wait()
		close(t.done)
	}()
	for deadline := began.Add(20 * time.Second); ; {
		b, err := os.ReadFile(readyFile)
		if err == nil {
			// The file is written whole or not at all.
			if err := json.Unmarshal(b, &t.info); err != nil {
				t.stop()
				return nil, fmt.Errorf("reading where the service is: %w", err)
			}
			t.ready = time.Since(began)
			return t, nil
		}
		select {
		case <-t.done:
			return nil, fmt.Errorf("the service did not start: %s", t.lastWords())
		case <-ctx.Done():
			t.stop()
			return nil, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.stop()
			return nil, fmt.Errorf("the service is not ready after 20 s; its log is %s", t.logFile)
		}
	}
}

// stop asks the service to stop and waits until it has. One that does not stop within
// the five seconds that it promises is killed, and that is an error.
func (t *trial) stop() error {
	select {
	case <-t.done:
		return fmt.Errorf("the service had ended before: %s", t.lastWords())
	default:
	}
	if err := t.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the service: %w", err)
	}
	select {
	case <-t.done:
		if t.err != nil {
			return fmt.Errorf("stopping the service: %w: %s", t.err, t.lastWords())
		}
		return nil
	case <-time.After(6 * time.Second):
		t.cmd.Process.Kill()
		<-t.done
		return errors.New("the service did not stop within 5 s and was killed")
	}
}

// lastWords is the last line of the service's log.
func (t *trial) lastWords() string {
	b, err := os.ReadFile(t.logFile)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return strings.TrimPrefix(string(lines[len(lines)-1]), "latchkey up: ")
}
