package servertest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"latchkey/servertest"
)

// quickstart runs the command with a temporary directory of its own, which it returns.
func quickstart(t *testing.T, args ...string) (cmd *exec.Cmd, temp string, out *strings.Builder) {
	t.Helper()
	binary, err := servertest.Binary()
	if err != nil {
		t.Fatal(err)
	}
	temp = t.TempDir()
	out = &strings.Builder{}
	cmd = exec.Command(binary, append([]string{"quickstart"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, temp, out
}

func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestQuickstartShowsTheStoryAndLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd, temp, out := quickstart(t)
	if err := cmd.Run(); err != nil {
		t.Fatalf("quickstart: %v\n%s", err, out)
	}
	for _, want := range []string{"✓ the key is taken away", "✓ the job finishes", "✓ the account is deleted", "Measured", "none of "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("quickstart did not say %q:\n%s", want, out)
		}
	}
	if rest := left(t, temp); len(rest) > 0 {
		t.Errorf("quickstart left %q", rest)
	}
	t.Logf("\n%s", out)
}

func TestQuickstartKeepsWhatItIsToldTo(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	cmd, temp, out := quickstart(t, "--data", data)
	if err := cmd.Run(); err != nil {
		t.Fatalf("quickstart --data: %v\n%s", err, out)
	}
	if len(left(t, data)) == 0 || len(left(t, temp)) > 0 {
		t.Errorf("quickstart --data left %q there and %q elsewhere", left(t, data), left(t, temp))
	}
}

func TestQuickstartFailsOnADirectoryInUse(t *testing.T) {
	t.Parallel()
	p := servertest.Launch(t, t.TempDir())
	cmd, _, out := quickstart(t, "--data", p.Data)
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("quickstart on a data directory in use: %v, want exit status 1", err)
	}
	if !strings.Contains(out.String(), "is in use by another latchkey") {
		t.Errorf("quickstart said %q, want the reason", out)
	}
}

func TestQuickstartStopsItsServiceWhenInterrupted(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	cmd, _, out := quickstart(t, "--data", data)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(data, "run.json")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no service after 30 s:\n%s", out)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("quickstart, interrupted: %v, want exit status 1", err)
	}
	if _, err := os.Stat(filepath.Join(data, "run.json")); err == nil {
		t.Errorf("the service still runs after quickstart was interrupted:\n%s", out)
	}
}
