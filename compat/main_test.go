package compat

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The variables by which the tests, run again below `latchkey exec`, know where they are.
const (
	binaryVariable = "LATCHKEY_BINARY"
	dataVariable   = "LATCHKEY_COMPAT_DATA"
)

// TestMain starts a service and runs the tests below `latchkey exec`, which is all that
// leads their clients to it.
func TestMain(m *testing.M) {
	if os.Getenv(dataVariable) != "" {
		os.Exit(m.Run())
	}
	status, err := outside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		status = 1
	}
	os.Exit(status)
}

func outside() (status int, err error) {
	dir, err := os.MkdirTemp("", "latchkey-compat")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary := os.Getenv(binaryVariable)
	if binary == "" {
		binary = filepath.Join(dir, "latchkey")
		build := exec.Command("go", "build", "-trimpath", "-o", binary, "./cmd/latchkey")
		build.Dir = ".."
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("building the program: %w\n%s", err, out)
		}
	}
	data := filepath.Join(dir, "data")
	stop, err := up(binary, data, filepath.Join(dir, "ready.json"))
	if err != nil {
		return 1, err
	}
	defer stop()
	tests, err := os.Executable()
	if err != nil {
		return 1, err
	}
	inside := exec.Command(binary, append([]string{"exec", "--data", data, "--", tests}, os.Args[1:]...)...)
	inside.Env = append(os.Environ(), dataVariable+"="+data, binaryVariable+"="+binary)
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = inside.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// up starts a service and waits until it is ready.
func up(binary, data, ready string) (stop func(), err error) {
	var log bytes.Buffer
	service := exec.Command(binary, "up", "--data", data, "--ready-file", ready, "--check-interval", "1s",
		"--listen", "127.0.0.1:0", "--proxy", "127.0.0.1:0", "--portal", "127.0.0.1:0")
	service.Stdout, service.Stderr = &log, &log
	if err := service.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	stop = func() {
		service.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			service.Process.Kill()
			<-ended
		}
	}
	for range 600 {
		if _, err := os.Stat(ready); err == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("the service ended: %w\n%s", err, log.Bytes())
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop()
	return nil, fmt.Errorf("the service was not ready in time\n%s", log.Bytes())
}
