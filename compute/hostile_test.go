package compute_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"latchkey/compute"
	"latchkey/fault"
)

// deep makes directories in one another: more than a service should have files open.
func deep(t *testing.T, dir string) (levels int) {
	t.Helper()
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	levels = int(min(files.Cur, 4000)) + 1000
	at, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	for range levels {
		if err != nil {
			break
		}
		var next int
		if err = unix.Mkdirat(at, "d", 0o700); err == nil {
			next, err = unix.Openat(at, "d", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		unix.Close(at)
		at = next
	}
	if err != nil {
		t.Fatalf("making deep directories: %v", err)
	}
	// Whatever the leaf forbids, its owner's process must be able to remove.
	unix.Fchmod(at, 0)
	unix.Close(at)
	return levels
}

func TestDirectoriesOfAnyDepthAreListedAndRemoved(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	for _, task := range []string{"t1", "t2"} {
		w.run(n, task, "mkdir tree; echo x > tree/file")
		deep(t, w.disk(n)+"/workitems/job/job-1/"+task+"/wd/tree")
	}
	files, err := w.local.TaskFiles(n, "job", "t1")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	all, err := files.List("", true)
	if got := names(all); err != nil || !slices.Contains(got, "wd/tree/file") || len(got) < 100 {
		t.Errorf("List = %d entries, %v", len(all), err)
	}
	for _, f := range all {
		if len(f.Name) > unix.PathMax {
			t.Fatalf("a path of %d bytes is listed", len(f.Name))
		}
	}
	if err := files.Remove("wd/tree", true); err != nil {
		t.Errorf("Remove = %v", err)
	}
	if _, err := files.Stat("wd/tree"); !errors.Is(err, fault.FileNotFound) {
		t.Errorf("Stat after Remove = %v", err)
	}
	if err := w.local.RemoveTask(n, "job", "t2"); err != nil {
		t.Errorf("RemoveTask = %v", err)
	}
	if _, err := os.Stat(w.disk(n) + "/workitems/job/job-1/t2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the task's directory after RemoveTask: %v", err)
	}
}

// TestTheAgentsRecordsAreNobodysFiles: a task can make a link to them, though it cannot
// read them itself; the service reads and removes files on behalf of callers.
func TestTheAgentsRecordsAreNobodysFiles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := w.node("a1", "n1", 1)
	w.run(n, "t1", "ln -s ../../../../../.agent records; ln -s ../../../../../.agent/slots slots; ln -s ../../../../../shared shared")
	files, err := w.local.NodeFiles(n)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	wd := "workitems/job/job-1/t1/wd/"
	for _, name := range []string{wd + "records/slots", wd + "slots", wd + "records", ".agent/slots", wd + "shared/../.agent/slots"} {
		if _, err := files.Stat(name); !errors.Is(err, fault.FileNotFound) {
			t.Errorf("Stat(%s) = %v", name, err)
		}
		if _, _, err := files.Open(name); !errors.Is(err, fault.FileNotFound) {
			t.Errorf("Open(%s) = %v", name, err)
		}
	}
	for _, name := range []string{wd + "records/slots", wd + "records/expiry", ".agent", ".agent/expiry"} {
		if err := files.Remove(name, true); !errors.Is(err, fault.FileNotFound) {
			t.Errorf("Remove(%s) = %v", name, err)
		}
	}
	all, err := files.List("", true)
	for _, f := range all {
		if strings.Contains(f.Name, "agent") || strings.HasSuffix(f.Name, "/slots") {
			t.Errorf("%s is listed", f.Name)
		}
	}
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"slots", "expiry"} {
		if _, err := os.Stat(filepath.Join(w.disk(n), ".agent", name)); err != nil {
			t.Error(err)
		}
	}
	// The link itself is the caller's.
	if err := files.Remove(wd+"records", false); err != nil {
		t.Errorf("Remove(the link) = %v", err)
	}
}

// TestNoTaskHasRootsRights: root without capabilities still owns what root owns, and
// daemons ask a caller for nothing but its number.
func TestNoTaskHasRootsRights(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("a service without root has no root's rights to give away")
	}
	w := setup(t)
	n := w.node("a1", "n1", 1)
	// Beside the hidden directory, where Landlock allows reading.
	beside := t.TempDir()
	for dir := beside; dir != "/"; dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	secret := filepath.Join(beside, "secret")
	if err := os.WriteFile(secret, []byte("of the host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(beside, "daemon.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]func(*compute.TaskSpec){"ordinary": func(*compute.TaskSpec) {}, "elevated": elevated} {
		if res := w.run(n, name+"-file", "cat "+secret, how); res.ExitCode == 0 {
			t.Errorf("an %s task reads what only root may read", name)
		}
		if res := w.run(n, name+"-own", "mkdir d && echo x > d/f && test $(stat -c %u d/f) = $(id -u)", how); res.ExitCode != 0 {
			t.Errorf("an %s task in its own directory exits %d: %s", name, res.ExitCode, w.output(n, name+"-own", "stderr.txt"))
		}
		info, err := os.Stat(filepath.Join(w.disk(n), "workitems/job/job-1", name+"-own", "wd", "d", "f"))
		if err != nil {
			t.Fatal(err)
		}
		if uid := info.Sys().(*syscall.Stat_t).Uid; uid < compute.DefaultFirstUser {
			t.Errorf("an %s task runs as user %d", name, uid)
		}
		if _, err := os.Stat("/usr/bin/python3"); err == nil {
			script := fmt.Sprintf(`python3 -c "import socket; socket.socket(socket.AF_UNIX).connect(\"%s\")"`, socket)
			if res := w.run(n, name+"-socket", script, how); res.ExitCode == 0 {
				t.Errorf("an %s task talks to a daemon that only root may talk to", name)
			}
		}
	}
}
