package compute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A run is one attempt of one task on this node. Its mutable fields belong to the
// agent's mutex.
type run struct {
	spec  TaskSpec
	slots int
	// path is the directory of the task, relative to the disk.
	path  string
	claim *claim

	slot    *slot
	began   time.Time
	stop    stopReason
	ended   bool
	dropped bool // report nothing
	discard bool // remove the directory at the end
	// cancel ends a download.
	cancel context.CancelFunc
}

// stopReason says why a run is being killed.
type stopReason int

const (
	notStopped stopReason = iota
	stopOrdered
	stopTimeout
	stopDropped
)

// halt begins the end of a run, whatever it is doing; a.mu is held.
func (r *run) halt(why stopReason) {
	if r.stop == notStopped && !r.ended {
		r.stop = why
	}
	if r.cancel != nil {
		r.cancel()
	}
	if r.slot != nil {
		r.slot.kill()
	}
}

// maxProcesses bounds the processes of a task that has a user of its own, so that one
// which forks without end takes itself down and not the host.
const maxProcesses = 4096

// execute does a run from its directory to its end.
func (a *agent) execute(r *run) Result {
	res := Result{Run: r.spec.Run}
	fail := func(f *Failure) Result {
		res.Failure, res.Ended = f, time.Now()
		return a.close(r, res)
	}
	a.mu.Lock()
	stopped := r.stop != notStopped
	a.mu.Unlock()
	if stopped {
		return fail(nil)
	}
	if limit := r.spec.MaxWallClock; limit > 0 {
		timer := time.AfterFunc(limit, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			r.halt(stopTimeout)
		})
		defer timer.Stop()
	}
	s, err := a.takeSlot()
	if err != nil {
		return fail(nodeFailure(err))
	}
	defer a.giveSlot(s)
	record(a.records, s.index, r.path, 0, 0)
	// Elevated tasks too: root without capabilities can still read what root owns, and
	// daemons of the host do what root asks them.
	uid := s.uid
	dir := a.disk + "/" + r.path
	d, err := a.prepare(r.path, uid)
	if err != nil {
		return fail(nodeFailure(err))
	}
	defer d.close()
	if len(r.spec.ResourceFiles) > 0 {
		if f := a.download(r, dir, uid); f != nil {
			return fail(f)
		}
	}
	argv, err := splitCommand(r.spec.CommandLine)
	if err != nil {
		return fail(launchFailure(r.spec.CommandLine, err))
	}
	env, err := taskEnv(a.env, &r.spec, dir)
	if err != nil {
		return fail(launchFailure(argv[0], err))
	}
	program, err := findProgram(argv[0], lookup(env, "PATH"), dir+"/wd")
	if err != nil {
		return fail(launchFailure(argv[0], err))
	}
	mark := ""
	if s.leaf == nil {
		mark = a.local.mark + "." + r.spec.Run
		env = append(env, markName+"="+mark)
	}
	l := launch{
		program: program, argv: argv, env: env, dir: dir + "/wd", uid: uid, leaf: s.leaf, ruleset: -1,
		files: [3]uintptr{uintptr(a.local.null), uintptr(d.stdout), uintptr(d.stderr)},
	}
	if a.local.landlock.version > 0 {
		own := [1]rule{{d.dir, mayRead | mayChange}}
		if l.ruleset, err = a.local.landlock.ruleset(a.scope.rules, a.common, own[:]); err != nil {
			return fail(nodeFailure(err))
		}
		defer unix.Close(l.ruleset)
	}
	began := time.Now()
	pid, err := l.start()
	if err != nil {
		return fail(launchFailure(argv[0], err))
	}
	if uid != 0 {
		unix.Prlimit(pid, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: maxProcesses, Max: maxProcesses}, nil)
	}
	s.entered(pid, mark)
	if s.leaf == nil {
		record(a.records, s.index, r.path, pid, s.tree.since)
	}
	a.begun(r, s, began)
	status, gone := s.wait()
	res.Started, res.Ended = began, time.Now()
	a.mu.Lock()
	r.slot, r.ended = nil, true // too late to be stopped by anyone
	a.mu.Unlock()
	if !gone {
		a.log.Error("a process of a task cannot be killed and was left behind", "slot", s.index)
	}
	res.ExitCode = status.ExitStatus()
	if status.Signaled() {
		res.ExitCode = 128 + int(status.Signal())
	}
	if uid != 0 && r.path != startupDir {
		// The user will be another task's; nothing of this one is left to it.
		unix.Fchownat(a.root, r.path, 0, 0, unix.AT_SYMLINK_NOFOLLOW)
	}
	return a.close(r, res)
}

// close completes a result with why the run ended, and removes or retains the
// directory.
func (a *agent) close(r *run, res Result) Result {
	a.mu.Lock()
	stop, discard := r.stop, r.discard
	a.mu.Unlock()
	switch stop {
	case stopOrdered:
		res.Stopped = true
		res.Failure = &Failure{Code: "TaskEnded", Message: "Task Was Ended by User Request", User: true}
	case stopTimeout:
		res.Failure = &Failure{
			Code: "MaxWallClockTimeExceeded", User: true,
			Message: "The task was ended because it ran longer than its maximum wall clock time",
			Details: map[string]string{"MaxWallClockTime": r.spec.MaxWallClock.String()},
		}
	}
	switch {
	case discard:
		if err := a.empty(r.path); err != nil {
			a.log.Error("removing the directory of a task", "error", err)
		}
	case r.spec.Retention > 0 && stop != stopDropped:
		if err := a.retain(r.path, res.Ended, r.spec.Retention); err != nil {
			a.log.Error("keeping the directory of a task", "error", err)
		}
	}
	return res
}

// nodeFailure is a failure of ours: the task never had a chance.
func nodeFailure(err error) *Failure {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return diskFailure("", "", err)
	}
	return &Failure{Code: "CommandLaunchFailed", Message: "Failed to launch the specified command line", Details: map[string]string{"Reason": err.Error()}}
}

// A workplace is the open directory of a run and its two outputs.
type workplace struct{ dir, stdout, stderr int }

func (w *workplace) close() {
	for _, fd := range []int{w.dir, w.stdout, w.stderr} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// empty removes the directory of a run. The start task's stays, for rules of other
// tasks name it, and loses what is in it.
func (a *agent) empty(path string) error {
	if path == startupDir {
		return removeContents(filepath.Join(a.disk, path))
	}
	return removeTree(filepath.Join(a.disk, path))
}

// prepare makes the directory of a run, empty, and opens what the run needs of it.
func (a *agent) prepare(path string, uid int) (workplace, error) {
	w := workplace{-1, -1, -1}
	mode := uint32(0o700)
	if path == startupDir && a.local.ownUsers {
		// Every task of the node may read what the start task left.
		mode = 0o755
	}
	for try := 0; ; try++ {
		err := unix.Mkdirat(a.root, path, mode)
		if err == nil {
			break
		}
		switch {
		case try == 5:
		case err == unix.ENOENT:
			err = a.local.makePassages(filepath.Join(a.disk, filepath.Dir(path)))
		case err == unix.EEXIST:
			// An earlier attempt's.
			err = a.empty(path)
		}
		if err != nil {
			return w, fmt.Errorf("making the directory of a task: %w", err)
		}
		if path == startupDir {
			break
		}
	}
	err := func() (err error) {
		if w.dir, err = unix.Openat(a.root, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
			return err
		}
		if err = unix.Mkdirat(w.dir, "wd", mode); err != nil {
			return err
		}
		// Appending, so that a task that opens /dev/stdout once more overwrites nothing.
		const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_APPEND | unix.O_CLOEXEC | unix.O_NOFOLLOW
		if w.stdout, err = unix.Openat(w.dir, "stdout.txt", flags, 0o644); err != nil {
			return err
		}
		if w.stderr, err = unix.Openat(w.dir, "stderr.txt", flags, 0o644); err != nil {
			return err
		}
		if uid == 0 {
			return nil
		}
		return errors.Join(
			unix.Fchown(w.stdout, uid, uid),
			unix.Fchown(w.stderr, uid, uid),
			unix.Fchownat(w.dir, "wd", uid, uid, unix.AT_SYMLINK_NOFOLLOW),
			unix.Fchownat(a.root, path, uid, uid, unix.AT_SYMLINK_NOFOLLOW))
	}()
	if err != nil {
		w.close()
		return workplace{-1, -1, -1}, fmt.Errorf("preparing the directory of a task: %w", err)
	}
	return w, nil
}

// download fetches a run's resource files; a run that is halted stops fetching.
func (a *agent) download(r *run, dir string, uid int) *Failure {
	wd, err := os.OpenRoot(dir + "/wd")
	if err != nil {
		return nodeFailure(err)
	}
	defer wd.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a.mu.Lock()
	r.cancel = cancel
	if r.stop != notStopped {
		cancel()
	}
	a.mu.Unlock()
	d := download{client: a.local.http, uid: uid, wd: wd}
	return d.fetch(ctx, r.spec.ResourceFiles)
}
