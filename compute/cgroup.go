package compute

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A cgroup is the control group below which all tasks of one provider live, so that
// whatever they have become, one write ends them.
type cgroup struct {
	dir string
	// leaves counts names; a name is never used twice.
	leaves atomic.Int64
}

// openCgroup makes the group name below the group that we are in.
func openCgroup(name string) (*cgroup, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	// Starting a process in a leaf needs leave to move processes between both.
	if err := unix.Access(own+"/cgroup.procs", unix.W_OK); err != nil {
		return nil, fmt.Errorf("%s is not ours to divide: %w", own, err)
	}
	g := &cgroup{dir: filepath.Join(own, name)}
	if err := os.Mkdir(g.dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making a control group: %w", err)
	}
	if err := unix.Access(g.dir+"/cgroup.kill", unix.W_OK); err != nil {
		os.Remove(g.dir)
		return nil, fmt.Errorf("the kernel cannot kill a control group: %w", err)
	}
	if err := g.probe(); err != nil {
		os.Remove(g.dir)
		return nil, err
	}
	return g, nil
}

// probe starts a process in a leaf whose program cannot exist: when that is what the
// kernel complains about, the process got into the leaf.
func (g *cgroup) probe() error {
	l, err := g.leaf()
	if err != nil {
		return err
	}
	defer l.close()
	nothing := os.DevNull + "/nothing"
	pid, err := syscall.ForkExec(nothing, []string{nothing}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: l.fd}})
	if err == nil {
		// It was killed before it could try; see leaf.
		syscall.Wait4(pid, nil, 0, nil)
		return errors.New("the kernel ends what is started in a control group")
	}
	if !errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("starting a process in a control group: %w", err)
	}
	return nil
}

// ownCgroup finds the directory of the version 2 group that this process is in.
func ownCgroup() (string, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	inside := ""
	for line := range strings.Lines(string(groups)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			inside = path
		}
	}
	if inside == "" || strings.HasPrefix(inside, "/..") {
		return "", errors.New("this process is in no control group of version 2 that can be seen from here")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		// 41 31 0:38 ROOT MOUNTPOINT OPTIONS … - cgroup2 SOURCE OPTIONS
		front, back, ok := strings.Cut(line, " - ")
		fields := strings.Fields(front)
		if !ok || len(fields) < 5 || !strings.HasPrefix(back, "cgroup2 ") {
			continue
		}
		root, point := fields[3], fields[4]
		below, ok := strings.CutPrefix(inside, strings.TrimSuffix(root, "/"))
		if !ok {
			continue
		}
		dir := filepath.Join(point, below)
		if _, err := os.Stat(dir + "/cgroup.procs"); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no control groups of version 2 are mounted")
}

// leaf makes a new leaf.
func (g *cgroup) leaf() (*leaf, error) {
	l := &leaf{dir: fmt.Sprintf("%s/%d", g.dir, g.leaves.Add(1))}
	err := os.Mkdir(l.dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return g.leaf()
	}
	if err != nil {
		return nil, fmt.Errorf("making a control group: %w", err)
	}
	l.fd, l.killing, l.events = -1, -1, -1
	if l.fd, err = unix.Open(l.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		if l.killing, err = unix.Open(l.dir+"/cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
			l.events, err = unix.Open(l.dir+"/cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("opening a control group: %w", err)
	}
	return l, nil
}

// remove takes the group away once everything in it has ended.
func (g *cgroup) remove() { removeCgroup(g.dir) }

// killCgroup ends everything in a group and below it, waits until it has, and
// removes it.
func killCgroup(dir string, patience time.Duration) error {
	if err := os.WriteFile(dir+"/cgroup.kill", []byte("1"), 0); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("killing the control group %s: %w", dir, err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		events, err := os.ReadFile(dir + "/cgroup.events")
		if err != nil || bytes.Contains(events, []byte("populated 0")) {
			break
		}
		if time.Now().After(end) {
			return fmt.Errorf("killing the control group %s: it still has processes after %v", dir, patience)
		}
	}
	return removeCgroup(dir)
}

func removeCgroup(dir string) error {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	return os.Remove(dir)
}

// A leaf holds the processes of one run at a time. Making one costs much beside
// starting a process, so a slot keeps its leaf until it had to kill in it: a kernel
// that starts a process in a group compares how often the group was killed with how
// often the parent's was, takes the difference for a kill that came meanwhile, and
// ends the process.
type leaf struct {
	dir                 string
	fd, killing, events int
	killed              atomic.Bool
	once                sync.Once
}

// kill ends every process in the leaf, including those that are being forked.
func (l *leaf) kill() {
	l.killed.Store(true)
	unix.Write(l.killing, []byte("1"))
}

// populated reports whether any process is left.
func (l *leaf) populated() bool {
	var buf [128]byte
	n, err := unix.Pread(l.events, buf[:], 0)
	return err != nil || !bytes.Contains(buf[:max(n, 0)], []byte("populated 0"))
}

// empty ends whatever is left and reports whether nothing is.
func (l *leaf) empty(patience time.Duration) bool {
	if !l.populated() {
		return true
	}
	l.kill()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		if !l.populated() {
			return true
		}
	}
	return false
}

// close removes the leaf; if something unkillable sits in it, it stays.
func (l *leaf) close() {
	l.once.Do(func() {
		for _, fd := range []int{l.fd, l.killing, l.events} {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		os.Remove(l.dir)
	})
}
